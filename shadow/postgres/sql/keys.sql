-- Foreign keys as SQLite has them: enforced only for connections that ask (PRAGMA foreign_keys=ON), never for rows that
-- were there before. Their sessions set shadow.foreign_keys = on; triggers look at that. `shim.remote.keys` writes the
-- statements that the functions run, and installs the triggers when a session first needs them.

-- Arguments: a query that says whether the changed row breaks the key; which row is its $1, old or new; restrict or ''.
CREATE OR REPLACE FUNCTION shadow.key_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    broken boolean;
BEGIN
    IF TG_ARGV[1] = 'old' THEN
        EXECUTE TG_ARGV[0] INTO broken USING OLD;
    ELSE
        EXECUTE TG_ARGV[0] INTO broken USING NEW;
    END IF;
    IF broken AND TG_ARGV[2] = 'restrict' THEN  -- SQLite's RESTRICT has another code than NO ACTION
        RAISE EXCEPTION 'FOREIGN KEY constraint failed' USING ERRCODE = 'SH003';
    ELSIF broken THEN
        RAISE EXCEPTION 'FOREIGN KEY constraint failed' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;

-- Argument: what becomes of the rows that refer to the changed one. $1 is the row before, $2 after.
CREATE OR REPLACE FUNCTION shadow.key_act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        EXECUTE TG_ARGV[0] USING OLD;
    ELSE
        EXECUTE TG_ARGV[0] USING OLD, NEW;
    END IF;
    RETURN NULL;
END $$;
