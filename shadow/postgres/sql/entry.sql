-- How the app's write transactions come in while PostgreSQL is primary, and how the fence keeps them out.
-- Order: BEGIN; LOCK TABLE of the fence (takes no snapshot); then one of these as a statement of its own, so that the
-- transaction's snapshot is younger than the lock. A refusal is an SQLSTATE of ours:
--   SH001  the control record does not let PostgreSQL take the app's writes; DETAIL is 'epoch attempt primary state'
--   SH002  the app's catalog is another version than the process knows; DETAIL is the version that stands

-- One row a pair: raised by every write transaction of serial mode, so that a transaction whose snapshot is older
-- than somebody's commit fails where SQLite says SQLITE_BUSY_SNAPSHOT.
CREATE TABLE IF NOT EXISTS shadow.serial (
    pair text PRIMARY KEY REFERENCES shadow.pair ON DELETE CASCADE,
    n    bigint NOT NULL
) WITH (fillfactor = 10);

-- AUTOINCREMENT in serial mode: the highest id ever seen in a table before rows went away. Transactional, as
-- sqlite_sequence is; a sequence is not.
CREATE TABLE IF NOT EXISTS shadow.high_water (
    pair       text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    table_name text NOT NULL,
    seq        bigint NOT NULL,
    PRIMARY KEY (pair, table_name)
);

-- Numbers that SQLite keeps in the file's header: PRAGMA user_version, application_id.
CREATE TABLE IF NOT EXISTS shadow.pragma (
    pair  text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    name  text NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (pair, name)
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

-- Serial mode, before an INSERT: the next id is the highest one + 1, as SQLite's is; with AUTOINCREMENT also above
-- every id that was ever there. Failed and rolled back inserts so leave no gaps.
CREATE OR REPLACE FUNCTION shadow.align_ids(pair text, table_name text, id_column text, autoincrement boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    highest bigint;
    kept bigint;
BEGIN
    EXECUTE format('SELECT max(%I) FROM %I.%I', id_column, pair, table_name) INTO highest;
    IF autoincrement THEN
        SELECT h.seq INTO kept FROM shadow.high_water h WHERE h.pair = align_ids.pair AND h.table_name = align_ids.table_name;
        highest := greatest(highest, kept);
    END IF;
    IF highest < 0 THEN  -- rare, and a sequence begins at 1
        EXECUTE format('ALTER SEQUENCE %s MINVALUE %s',
            pg_get_serial_sequence(format('%I.%I', pair, table_name), id_column), -9223372036854775807);
    END IF;
    PERFORM setval(pg_get_serial_sequence(format('%I.%I', pair, table_name), id_column), coalesce(highest + 1, 1), false);
    PERFORM set_config('shadow.first_id', coalesce(highest + 1, 1)::text, true);
END $$;

-- Serial mode, after an INSERT into an AUTOINCREMENT table that may have skipped rows: SQLite counts an id as used
-- even when its row was not inserted.
CREATE OR REPLACE FUNCTION shadow.keep_ids(pair text, table_name text, id_column text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    reached bigint;
BEGIN
    EXECUTE format('SELECT last_value FROM %s WHERE is_called',
        pg_get_serial_sequence(format('%I.%I', pair, table_name), id_column)) INTO reached;
    IF reached IS NOT NULL THEN
        INSERT INTO shadow.high_water AS h (pair, table_name, seq) VALUES (pair, table_name, reached)
        ON CONFLICT ON CONSTRAINT high_water_pkey DO UPDATE SET seq = excluded.seq WHERE h.seq < excluded.seq;
    END IF;
END $$;

-- Serial mode, after one INSERT of several rows that may have skipped some, without AUTOINCREMENT: SQLite gives a skipped
-- row's id to the next one. Says what the last new row's id is; NULL: there is no new row.
CREATE OR REPLACE FUNCTION shadow.close_gaps(pair text, table_name text, id_column text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    given bigint;
    due bigint := current_setting('shadow.first_id')::bigint;
    last bigint;
BEGIN
    FOR given IN EXECUTE format('SELECT %1$I FROM %2$I.%3$I WHERE %1$I >= $1 ORDER BY %1$I', id_column, pair, table_name)
        USING due
    LOOP
        IF given <> due THEN
            EXECUTE format('UPDATE %2$I.%3$I SET %1$I = $1 WHERE %1$I = $2', id_column, pair, table_name) USING due, given;
        END IF;
        last := due;
        due := due + 1;
    END LOOP;
    RETURN last;
END $$;

-- Serial mode, before rows of an AUTOINCREMENT table go away or change their id.
CREATE OR REPLACE FUNCTION shadow.keep_high_water(pair text, table_name text, id_column text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    highest bigint;
BEGIN
    EXECUTE format('SELECT max(%I) FROM %I.%I', id_column, pair, table_name) INTO highest;
    IF highest IS NOT NULL THEN
        INSERT INTO shadow.high_water AS h (pair, table_name, seq) VALUES (pair, table_name, highest)
        ON CONFLICT ON CONSTRAINT high_water_pkey DO UPDATE SET seq = excluded.seq WHERE h.seq < excluded.seq;
    END IF;
END $$;

-- Concurrent mode, after a chosen id has met one that the app gave explicitly: put the sequence above all ids.
-- False: it was there already, so the id was the app's own.
CREATE OR REPLACE FUNCTION shadow.raise_ids(pair text, table_name text, id_column text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    ids regclass := pg_get_serial_sequence(format('%I.%I', pair, table_name), id_column);
    highest bigint;
    reached bigint;
BEGIN
    EXECUTE format('SELECT max(%I) FROM %I.%I', id_column, pair, table_name) INTO highest;
    EXECUTE format('SELECT last_value FROM %s', ids) INTO reached;
    IF highest IS NULL OR highest <= reached THEN
        RETURN false;
    END IF;
    PERFORM setval(ids, highest);
    RETURN true;
END $$;
