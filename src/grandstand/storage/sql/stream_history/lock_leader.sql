-- Whether whoever leads now, under any of the names, decides by all streams; nobody else begins to until the transaction ends.
SELECT expires_at <= clock_timestamp() OR streams_holder IS NOT DISTINCT FROM holder FROM leases FOR NO KEY UPDATE
