-- Until the transaction ends no partition leaves. First in a transaction that reads a snapshot: a partition that left between
-- the snapshot and the first read would be missing in both, for the snapshot would not know its archive yet.
LOCK TABLE events IN ACCESS SHARE MODE
