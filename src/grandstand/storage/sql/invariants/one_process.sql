-- Until the transaction ends, a statement runs in one process: the processors are for others, too.
SET LOCAL max_parallel_workers_per_gather = 0
