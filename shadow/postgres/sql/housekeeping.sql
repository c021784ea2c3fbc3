-- Everything shadow keeps in PostgreSQL besides the app's tables. One row or one set of rows per pair; a pair is
-- named by the schema that holds its app's tables. All statements can be run again.
CREATE SCHEMA IF NOT EXISTS shadow;

CREATE TABLE IF NOT EXISTS shadow.pair (
    pair        text PRIMARY KEY,           -- the app's schema
    pair_id     text NOT NULL UNIQUE,       -- the same as _shadow_control.pair_id in SQLite
    format      integer NOT NULL,
    sqlite_path text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- The flag's half in PostgreSQL.
CREATE TABLE IF NOT EXISTS shadow.control (
    pair         text PRIMARY KEY REFERENCES shadow.pair ON DELETE CASCADE,
    epoch        bigint NOT NULL,
    attempt      text NOT NULL,
    primary_side text NOT NULL CHECK (primary_side IN ('sqlite', 'postgres')),
    state        text NOT NULL CHECK (state IN ('prepared', 'active')),
    changed_at   timestamptz NOT NULL DEFAULT now()
);

-- How far the journal has been applied; written in the transaction of the applied statements. No row: not backfilled.
CREATE TABLE IF NOT EXISTS shadow.applied (
    pair       text PRIMARY KEY REFERENCES shadow.pair ON DELETE CASCADE,
    position   bigint NOT NULL,
    nonce      bytea NOT NULL,
    epoch      bigint NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- What sqlite_master says, in its order; answers the app's catalog questions while PostgreSQL is primary.
CREATE TABLE IF NOT EXISTS shadow.object (
    pair     text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    ordinal  integer NOT NULL,
    type     text NOT NULL,
    name     text NOT NULL,
    tbl_name text NOT NULL,
    sql      text,
    PRIMARY KEY (pair, type, name)
);

-- The PostgreSQL type chosen for each column (schema.convert).
CREATE TABLE IF NOT EXISTS shadow.column_type (
    pair        text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    table_name  text NOT NULL,
    column_name text NOT NULL,
    pg_type     text NOT NULL,
    PRIMARY KEY (pair, table_name, column_name)
);

-- Raised with every change to shadow.object or shadow.column_type: cached catalogs and translations are stale.
CREATE TABLE IF NOT EXISTS shadow.catalog_version (
    pair    text PRIMARY KEY REFERENCES shadow.pair ON DELETE CASCADE,
    version bigint NOT NULL
);

-- Tables that apply skips until they are repaired.
CREATE TABLE IF NOT EXISTS shadow.dirty (
    pair       text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    table_name text NOT NULL,
    position   bigint NOT NULL,
    reason     text NOT NULL,
    since      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pair, table_name)
);

-- A write had another effect on PostgreSQL than on SQLite.
CREATE TABLE IF NOT EXISTS shadow.divergence (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pair        text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    position    bigint NOT NULL,
    table_name  text,
    kind        text NOT NULL,      -- error | rowcount | unsupported | value | undetermined
    sql         text NOT NULL,
    detail      text NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz
);

-- Statement shapes seen in reads, and how often each was compared.
CREATE TABLE IF NOT EXISTS shadow.shape (
    pair             text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    fingerprint      text NOT NULL,
    sql              text NOT NULL,
    seen             bigint NOT NULL DEFAULT 0,
    compared         bigint NOT NULL DEFAULT 0,
    mismatched       bigint NOT NULL DEFAULT 0,
    not_comparable   bigint NOT NULL DEFAULT 0,
    unsupported      text,
    first_seen_at    timestamptz NOT NULL DEFAULT now(),
    last_compared_at timestamptz,
    proof_epoch      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (pair, fingerprint)
);

-- A read gave another result on PostgreSQL than on SQLite at the same position; one row per shape and reason.
CREATE TABLE IF NOT EXISTS shadow.mismatch (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pair          text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    fingerprint   text NOT NULL,
    reason        text NOT NULL,
    sql           text NOT NULL,
    params        jsonb NOT NULL,
    position      bigint NOT NULL,
    origin_result jsonb NOT NULL,
    target_result jsonb NOT NULL,
    seen          bigint NOT NULL DEFAULT 1,
    first_at      timestamptz NOT NULL DEFAULT now(),
    last_at       timestamptz NOT NULL DEFAULT now(),
    resolved_at   timestamptz,
    UNIQUE (pair, fingerprint, reason)
);

-- The last verification of each table.
CREATE TABLE IF NOT EXISTS shadow.verified (
    pair           text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    table_name     text NOT NULL,
    position       bigint NOT NULL,
    proof_epoch    bigint NOT NULL,
    rows_compared  bigint NOT NULL,
    rows_different bigint NOT NULL,
    rows_missing   bigint NOT NULL,
    rows_extra     bigint NOT NULL,
    complete       boolean NOT NULL,      -- false: a chunk failed or was skipped; never counts as equal
    detail         text NOT NULL DEFAULT '',
    at             timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pair, table_name)
);

-- Progress of the copy of existing rows.
CREATE TABLE IF NOT EXISTS shadow.backfill (
    pair        text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    table_name  text NOT NULL,
    position    bigint NOT NULL,
    rows_copied bigint NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (pair, table_name)
);

-- Proof older than this epoch no longer counts.
CREATE TABLE IF NOT EXISTS shadow.proof (
    pair        text PRIMARY KEY REFERENCES shadow.pair ON DELETE CASCADE,
    proof_epoch bigint NOT NULL,
    reason      text NOT NULL,
    at          timestamptz NOT NULL DEFAULT now()
);

-- Row images of the app's writes while PostgreSQL is primary, in the transaction that made them.
CREATE TABLE IF NOT EXISTS shadow.change (
    id         bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    pair       text NOT NULL,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    table_name text NOT NULL,             -- '' for DDL
    op         text NOT NULL,             -- I, U, D; T: truncate; S: DDL, its SQLite text in new_row
    old_row    json,
    new_row    json
);
CREATE INDEX IF NOT EXISTS change_pair_id ON shadow.change (pair, id);

-- Samples that never reached a verdict, by process and reason; a dropped class closes the coverage gate.
CREATE TABLE IF NOT EXISTS shadow.counter (
    pair  text NOT NULL REFERENCES shadow.pair ON DELETE CASCADE,
    name  text NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (pair, name)
);

-- Who did what to the flag and to the proof; the same entries are in _shadow_audit in SQLite.
CREATE TABLE IF NOT EXISTS shadow.audit (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pair   text NOT NULL,
    at     timestamptz NOT NULL DEFAULT now(),
    who    text NOT NULL,
    action text NOT NULL,
    detail jsonb NOT NULL
);
