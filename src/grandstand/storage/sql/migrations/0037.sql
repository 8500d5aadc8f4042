-- Tokens that this database has put into the archive's place, or is about to: whoever finds one there that it does not know has
-- been overtaken. See docs/decisions/0065.
CREATE TABLE archive_tokens (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token uuid NOT NULL UNIQUE,
    database text COLLATE "C" NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz
);
