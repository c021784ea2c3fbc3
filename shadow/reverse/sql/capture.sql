-- Reverse capture: what the app changes while PostgreSQL is primary, as row images in the transaction that made them.
-- Everything can be run again. Nothing here fires for the appliers: their sessions set shadow.applier = on.

-- Column types of every captured table. An image is JSON and says less than a type; a DDL change row carries the types
-- that held before it, and this table those that hold now, so that any image can be read however late it is.
CREATE TABLE IF NOT EXISTS shadow.captured (
    pair       text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    table_name text NOT NULL,             -- as PostgreSQL has it
    types      json NOT NULL,             -- {column: type}
    PRIMARY KEY (pair, table_name)
);

-- One row, one change. Role and pair are asked of the control record inside the writing transaction, which holds the
-- fence: neither the other direction's writes nor anything written before the cutover is captured.
CREATE OR REPLACE FUNCTION shadow.capture_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO shadow.change (pair, table_name, op, new_row)
        SELECT c.pair, TG_TABLE_NAME, 'I', row_to_json(NEW)
        FROM shadow.control c WHERE c.pair = TG_ARGV[0] AND c.primary_side = 'postgres';
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO shadow.change (pair, table_name, op, old_row, new_row)
        SELECT c.pair, TG_TABLE_NAME, 'U', row_to_json(OLD), row_to_json(NEW)
        FROM shadow.control c WHERE c.pair = TG_ARGV[0] AND c.primary_side = 'postgres';
    ELSE
        INSERT INTO shadow.change (pair, table_name, op, old_row)
        SELECT c.pair, TG_TABLE_NAME, 'D', row_to_json(OLD)
        FROM shadow.control c WHERE c.pair = TG_ARGV[0] AND c.primary_side = 'postgres';
    END IF;
    RETURN NULL;
END $$;

-- TRUNCATE fires no row trigger.
CREATE OR REPLACE FUNCTION shadow.capture_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO shadow.change (pair, table_name, op)
    SELECT c.pair, TG_TABLE_NAME, 'T' FROM shadow.control c WHERE c.pair = TG_ARGV[0] AND c.primary_side = 'postgres';
    RETURN NULL;
END $$;

-- {column: type} of one table, independent of search_path.
CREATE OR REPLACE FUNCTION shadow.capture_types(p_table regclass) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT coalesce(json_object_agg(a.attname, CASE WHEN n.nspname = 'pg_catalog' THEN format_type(a.atttypid, NULL)
                                                    ELSE n.nspname || '.' || t.typname END ORDER BY a.attnum), '{}')
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped
$$;

-- Install the triggers on one table and note its types. A table that has them already is not locked again.
CREATE OR REPLACE FUNCTION shadow.capture(p_pair text, p_table text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    target regclass := format('%I.%I', p_pair, p_table)::regclass;
    unless_applier constant text := $w$WHEN (current_setting('shadow.applier', true) IS DISTINCT FROM 'on')$w$;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = target AND tgname = '_shadow_capture') THEN
        EXECUTE format('CREATE TRIGGER _shadow_capture AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW %s'
                       ' EXECUTE FUNCTION shadow.capture_row(%L)', target, unless_applier, p_pair);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = target AND tgname = '_shadow_capture_truncate') THEN
        EXECUTE format('CREATE TRIGGER _shadow_capture_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT %s'
                       ' EXECUTE FUNCTION shadow.capture_truncate(%L)', target, unless_applier, p_pair);
    END IF;
    INSERT INTO shadow.captured AS c (pair, table_name, types) VALUES (p_pair, p_table, shadow.capture_types(target))
    ON CONFLICT (pair, table_name) DO UPDATE SET types = excluded.types WHERE c.types::text <> excluded.types::text;
END $$;

-- Record the app's DDL, in SQLite's words, in the transaction that has just made the same change here: after it, so
-- that the locks it took order this row behind every image of the old form. A new table needs shadow.capture() as well.
CREATE OR REPLACE FUNCTION shadow.capture_ddl(p_pair text, p_sql text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO shadow.change (pair, table_name, op, old_row, new_row)
    SELECT c.pair, '', 'S', (SELECT json_object_agg(d.table_name, d.types) FROM shadow.captured d WHERE d.pair = p_pair),
           to_json(p_sql)
    FROM shadow.control c WHERE c.pair = p_pair AND c.primary_side = 'postgres';
    PERFORM shadow.capture_refresh(p_pair);
END $$;

-- Bring shadow.captured in line with the tables that carry the triggers now (renamed, dropped, altered).
CREATE OR REPLACE FUNCTION shadow.capture_refresh(p_pair text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM shadow.captured d WHERE d.pair = p_pair
       AND NOT EXISTS (SELECT FROM shadow.capture_tables(p_pair) AS t WHERE t.table_name = d.table_name);
    INSERT INTO shadow.captured AS c (pair, table_name, types)
    SELECT p_pair, t.table_name, shadow.capture_types(t.oid) FROM shadow.capture_tables(p_pair) AS t
    ON CONFLICT (pair, table_name) DO UPDATE SET types = excluded.types WHERE c.types::text <> excluded.types::text;
END $$;

-- Tables of a pair that carry the row trigger.
CREATE OR REPLACE FUNCTION shadow.capture_tables(p_pair text) RETURNS TABLE (oid oid, table_name text)
LANGUAGE sql STABLE AS $$
    SELECT r.oid, r.relname::text FROM pg_class r JOIN pg_trigger g ON g.tgrelid = r.oid
    WHERE r.relnamespace = to_regnamespace(quote_ident(p_pair)) AND g.tgname = '_shadow_capture'
$$;
