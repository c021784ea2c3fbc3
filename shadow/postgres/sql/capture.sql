-- Row images of the app's writes while PostgreSQL is primary, for the way back to SQLite. `reverse.capture` installs
-- them on every table before a cutover, `shim.remote` on the tables that the app's own migrations create afterwards.

-- Rows are captured only while PostgreSQL is primary: what the applier writes must not come back as an echo.
CREATE OR REPLACE FUNCTION shadow.captures(pair text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM shadow.control k WHERE k.pair = $1 AND k.primary_side = 'postgres' AND k.state = 'active')
$$;

-- Arguments: pair, table name as SQLite knows it.
CREATE OR REPLACE FUNCTION shadow.capture_row() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM shadow.control k
                    WHERE k.pair = TG_ARGV[0] AND k.primary_side = 'postgres' AND k.state = 'active') THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO shadow.change (pair, table_name, op, new_row)
        VALUES (TG_ARGV[0], TG_ARGV[1], 'I', row_to_json(NEW));
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO shadow.change (pair, table_name, op, old_row, new_row)
        VALUES (TG_ARGV[0], TG_ARGV[1], 'U', row_to_json(OLD), row_to_json(NEW));
    ELSE
        INSERT INTO shadow.change (pair, table_name, op, old_row)
        VALUES (TG_ARGV[0], TG_ARGV[1], 'D', row_to_json(OLD));
    END IF;
    RETURN NULL;
END $$;

-- TRUNCATE fires no row trigger.
CREATE OR REPLACE FUNCTION shadow.capture_truncate() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF shadow.captures(TG_ARGV[0]) THEN
        INSERT INTO shadow.change (pair, table_name, op) VALUES (TG_ARGV[0], TG_ARGV[1], 'T');
    END IF;
    RETURN NULL;
END $$;

-- Install the triggers on one table of the pair's schema; can be run again. `table_name` is the name in PostgreSQL,
-- `origin_name` the one in SQLite when the two differ.
CREATE OR REPLACE FUNCTION shadow.capture(pair text, table_name text, origin_name text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE TRIGGER shadow_capture AFTER INSERT OR UPDATE OR DELETE ON %I.%I'
        ' FOR EACH ROW EXECUTE FUNCTION shadow.capture_row(%L, %L)',
        pair, table_name, pair, coalesce(origin_name, table_name));
    EXECUTE format('CREATE OR REPLACE TRIGGER shadow_capture_truncate AFTER TRUNCATE ON %I.%I'
        ' FOR EACH STATEMENT EXECUTE FUNCTION shadow.capture_truncate(%L, %L)',
        pair, table_name, pair, coalesce(origin_name, table_name));
END $$;

-- Take them off again.
CREATE OR REPLACE FUNCTION shadow.uncapture(pair text, table_name text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS shadow_capture ON %I.%I', pair, table_name);
    EXECUTE format('DROP TRIGGER IF EXISTS shadow_capture_truncate ON %I.%I', pair, table_name);
END $$;
