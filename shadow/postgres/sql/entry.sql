-- How the app's write transactions come in while PostgreSQL is primary, and how the fence keeps them out.
-- Order: BEGIN; LOCK TABLE of the fence (takes no snapshot); then one of these as a statement of its own, so that the
-- transaction's snapshot is younger than the lock. A refusal is an SQLSTATE of ours:
--   SH001  the control record does not let PostgreSQL take the app's writes; DETAIL is 'epoch attempt primary state'
--   SH002  the app's catalog is another version than the process knows; DETAIL is the version that stands

-- One row a pair: raised by every write transaction of serial mode, so that a transaction whose snapshot is older
-- than somebody's commit fails where SQLite says SQLITE_BUSY_SNAPSHOT.
CREATE TABLE IF NOT EXISTS shadow.serial (
    pair text PRIMARY KEY,
    n    bigint NOT NULL
) WITH (fillfactor = 10);

-- AUTOINCREMENT in serial mode: the highest id ever seen in a table before rows went away. Transactional, as
-- sqlite_sequence is; a sequence is not.
CREATE TABLE IF NOT EXISTS shadow.high_water (
    pair       text NOT NULL,
    table_name text NOT NULL,
    seq        bigint NOT NULL,
    PRIMARY KEY (pair, table_name)
);

-- Directly after the lock: the snapshot is taken here.
CREATE OR REPLACE FUNCTION shadow.enter(pair text, known_version bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    c record;
BEGIN
    SELECT k.epoch, k.attempt, k.primary_side, k.state, v.version INTO c
      FROM shadow.control k LEFT JOIN shadow.catalog_version v ON v.pair = k.pair
     WHERE k.pair = enter.pair;
    IF c.state IS DISTINCT FROM 'active' OR c.primary_side IS DISTINCT FROM 'postgres' THEN
        RAISE EXCEPTION 'PostgreSQL is not primary' USING ERRCODE = 'SH001',
            DETAIL = concat_ws(' ', c.epoch, c.attempt, c.primary_side, c.state);
    END IF;
    IF c.version IS DISTINCT FROM known_version THEN
        RAISE EXCEPTION 'the catalog has changed' USING ERRCODE = 'SH002', DETAIL = coalesce(c.version, 0)::text;
    END IF;
END $$;

-- For a transaction that has read already: its snapshot is older than the lock, so the rows are locked to prove that
-- they have not changed since; a serialization failure is the right answer if they have.
CREATE OR REPLACE FUNCTION shadow.enter_late(pair text, known_version bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM shadow.control k WHERE k.pair = enter_late.pair FOR SHARE;
    PERFORM 1 FROM shadow.catalog_version v WHERE v.pair = enter_late.pair FOR SHARE;
    PERFORM shadow.enter(pair, known_version);
END $$;

-- Serial mode, besides one of the above.
CREATE OR REPLACE FUNCTION shadow.enter_serial(pair text) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO shadow.serial AS s (pair, n) VALUES ($1, 1) ON CONFLICT ON CONSTRAINT serial_pkey DO UPDATE SET n = s.n + 1
$$;
