CREATE TRIGGER archive_{archive_id} AFTER INSERT OR UPDATE OR DELETE ON {partition}
FOR EACH ROW EXECUTE FUNCTION mark_archive_stale('{archive_id}')
