-- A report that is being counted right now is not kept either: it has no row any more.
DELETE FROM reports WHERE kind = 'retention'
