-- Schema shadow's compat functions and the type shadow.value: SQLite's meaning where PostgreSQL has no native form.
-- Every statement can be run again. Functions are IMMUTABLE, STRICT and PARALLEL SAFE where that is true.
CREATE SCHEMA IF NOT EXISTS shadow;

-- Any SQLite value but NULL. cls: 1 number, 2 text, 3 blob, so that row comparison orders as SQLite does across types.
-- A real has a scale of at least 1 ('5.0'), an integer of 0; '0.00' is -0.0. See values/codec.py.
DO $$ BEGIN
    IF to_regtype('shadow.value') IS NULL THEN
        CREATE TYPE shadow.value AS (cls smallint, num numeric, txt text COLLATE "C", blob bytea);
    END IF;
END $$;
