"""`grandstand import`: sends files of events through the HTTP API, as any other client could.

A source is read twice: once for its digest (which names ids and the checkpoint, and finds a damaged file before
anything is sent), and once for its lines.
"""
