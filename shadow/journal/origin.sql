-- Everything shadow keeps in the SQLite file. Names start with _shadow_ and are hidden from the app by the shim.

-- The flag's half in SQLite, one row. Read inside every write transaction, under the write lock; never cached.
CREATE TABLE _shadow_control (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    format          INTEGER NOT NULL,   -- of journal records; a shim that does not know it refuses to write
    pair_id         TEXT NOT NULL,      -- the same as shadow.pair.pair_id in PostgreSQL
    epoch           INTEGER NOT NULL,
    attempt         TEXT NOT NULL,
    primary_side    TEXT NOT NULL CHECK (primary_side IN ('sqlite', 'postgres')),
    state           TEXT NOT NULL CHECK (state IN ('prepared', 'active')),
    journaling      INTEGER NOT NULL,   -- 1: every write transaction leaves a journal record
    guard           INTEGER NOT NULL,   -- 1: guard triggers refuse writes that do not come from the reverse applier
    catalog_version INTEGER NOT NULL,   -- raised by every DDL through the shim: cached table facts are stale
    proof_epoch     INTEGER NOT NULL    -- raised by whatever voids earlier proof, with a reason in _shadow_audit
);

-- The outbox. A write transaction leaves one record: rows with consecutive positions, the last one with last = 1.
-- The position of the transaction is that of its last row. The newest two rows are never deleted, so that positions
-- never repeat and an anchor (ORDER BY position DESC LIMIT 2) stays open after its first step.
CREATE TABLE _shadow_journal (
    position INTEGER PRIMARY KEY,
    last     INTEGER NOT NULL,
    nonce    BLOB NOT NULL,
    record   BLOB NOT NULL
);

-- Appending goes through a view: inside an INSTEAD OF trigger an INSERT leaves last_insert_rowid() alone.
CREATE VIEW _shadow_append AS SELECT last, nonce, record FROM _shadow_journal;
CREATE TRIGGER _shadow_append_row INSTEAD OF INSERT ON _shadow_append BEGIN
    INSERT INTO _shadow_journal (last, nonce, record) VALUES (new.last, new.nonce, new.record);
END;

-- What has come back from PostgreSQL: changes visible in `snapshot` are in this file.
CREATE TABLE _shadow_reverse (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    snapshot TEXT NOT NULL,   -- a pg_snapshot as text
    epoch    INTEGER NOT NULL
);

-- The app's own triggers while PostgreSQL is primary: dropped by cutover, restored by rollback.
CREATE TABLE _shadow_app_trigger (name TEXT PRIMARY KEY, sql TEXT NOT NULL);

-- Who did what to the flag and to the proof; the same entries are in shadow.audit in PostgreSQL.
CREATE TABLE _shadow_audit (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL
);
