-- The oldest program that works with this schema, by the version that it was made for. A migration that takes away
-- something that older programs use raises it; the others leave it, so that processes of the release before go on, and
-- start again, while an upgrade is rolled out or taken back.
ALTER TABLE schema_version ADD COLUMN works_from text NOT NULL DEFAULT '0018';
