-- A JSON value in which a text that is the whole of a value is another one. Keys stay, and so do longer texts.
CREATE FUNCTION json_with_other_text(value jsonb, old text, new text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE jsonb_typeof(value)
        WHEN 'string' THEN CASE WHEN value = to_jsonb(old) THEN to_jsonb(new) ELSE value END
        WHEN 'array' THEN (
            SELECT coalesce(jsonb_agg(json_with_other_text(i.item, old, new) ORDER BY i.place), '[]')
            FROM jsonb_array_elements(value) WITH ORDINALITY AS i (item, place)
        )
        WHEN 'object' THEN (
            SELECT coalesce(jsonb_object_agg(m.name, json_with_other_text(m.item, old, new)), '{}')
            FROM jsonb_each(value) AS m (name, item)
        )
        ELSE value
    END;
END
$$;

-- What an erasure makes of an entry: nothing but the id goes, and what is the player's alone. Of what was done to the
-- player or by the player, the values go, too, and words that people wrote about the player's prize. Who did what, and
-- when, stays.
CREATE FUNCTION audit_entry_without(entry audit_log, user_id text, pseudonym text) RETURNS audit_log
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF entry.action = 'prize.void' AND entry.after @> jsonb_build_object('user_id', user_id) THEN
        entry.after := entry.after - 'reason';
    END IF;
    entry.before := json_with_other_text(entry.before, user_id, pseudonym);
    entry.after := json_with_other_text(entry.after, user_id, pseudonym);
    -- What other actions are about has names of its own, which may be written alike.
    IF entry.target = user_id AND entry.action LIKE 'player.%' THEN
        entry.target := pseudonym;
        entry.before := NULL;
        entry.after := NULL;
    END IF;
    IF entry.actor = 'player:' || user_id THEN
        entry.actor := 'player:' || pseudonym;
        entry.address := NULL;
    END IF;
    RETURN entry;
END
$$;

-- No setting opens it: a change passes when it is, to the letter, what an erasure that is under way makes of the entry.
CREATE OR REPLACE FUNCTION refuse_change_of_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    -- A session may have tables and functions of its own, and have them found first.
    path text := current_setting('search_path');
    is_erased boolean := false;
BEGIN
    IF tg_op = 'UPDATE' THEN
        PERFORM set_config('search_path', format('pg_catalog, %I, pg_temp', tg_table_schema), true);
        SELECT EXISTS (
            SELECT FROM erasures AS e
            WHERE e.user_id IS NOT NULL AND audit_entry_without(old, e.user_id, e.pseudonym) IS NOT DISTINCT FROM new
        ) INTO is_erased;
        PERFORM set_config('search_path', path, true);
    END IF;
    IF is_erased THEN
        RETURN new;
    END IF;
    RAISE EXCEPTION 'the audit log is only added to';
END
$$;

-- Or whoever writes an erasure could have any name put there.
-- allowed: constraint: erasures are few
ALTER TABLE erasures ADD CONSTRAINT erasures_pseudonym_says_nothing CHECK (pseudonym ~ '^erased-[0-9a-f]{32}$');
