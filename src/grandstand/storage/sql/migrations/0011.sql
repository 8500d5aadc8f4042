-- What keys and operators changed: rows are only added. Erasing a player is the one thing that may touch them again, and
-- says so for its transaction, because a name must be forgettable even here.
CREATE TABLE audit_log (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    actor text NOT NULL,
    address text,
    action text NOT NULL,
    target text NOT NULL,
    before jsonb,
    after jsonb
);
CREATE INDEX audit_log_by_target ON audit_log (target, audit_id);
CREATE INDEX audit_log_by_actor ON audit_log (actor, audit_id);

CREATE FUNCTION refuse_change_of_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('grandstand.erasing', true) = 'on' THEN
        RETURN coalesce(new, old);
    END IF;
    RAISE EXCEPTION 'the audit log is only added to';
END
$$;
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE ON audit_log
FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit_log();
CREATE TRIGGER audit_log_is_kept BEFORE TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_log();
