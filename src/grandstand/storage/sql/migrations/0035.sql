-- Programs since this version write it together with `holder`: whoever leads decides by all streams. Older ones leave it as it was.
ALTER TABLE leases ADD COLUMN streams_holder text;

-- An older program that leads would settle without what waits in further streams: while there are some, it never leads.
CREATE FUNCTION refuse_leader_of_one_stream() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.streams_holder IS DISTINCT FROM NEW.holder AND EXISTS (SELECT FROM event_streams WHERE stream > 0) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER leases_know_streams BEFORE INSERT OR UPDATE OF holder ON leases
FOR EACH ROW EXECUTE FUNCTION refuse_leader_of_one_stream();
