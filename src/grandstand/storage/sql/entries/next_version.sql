SELECT nextval('entry_versions')
