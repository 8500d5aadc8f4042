DROP TRIGGER IF EXISTS archive_{archive_id} ON {partition}
