-- How many ids each archive has; reads them all.
SELECT archive_id, count(*) AS ids FROM archived_ids GROUP BY archive_id
