-- The partition itself is locked with its parent: who changes it now has committed, and has marked the archive.
LOCK TABLE ONLY events, {partition} IN ACCESS EXCLUSIVE MODE
