SELECT d.name FROM archive_files_to_delete AS d
WHERE NOT EXISTS (SELECT FROM archive_files AS f WHERE f.name = d.name)
ORDER BY d.name
