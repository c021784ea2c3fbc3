"""What a text is, by its tokens alone."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.shim.classify import Kind, Rows, classify, python_begins, split
from shadow.shim.tokens import T, tokenize


@pytest.mark.parametrize(
    ("sql", "kind", "schema", "name"),
    [
        ("SELECT 1", Kind.READ, None, ""),
        ("  /* c */ -- x\n VALUES (1)", Kind.READ, None, ""),
        ("WITH a AS (SELECT 1), b(x) AS (VALUES (2)) SELECT * FROM a, b", Kind.READ, None, ""),
        ("INSERT INTO T VALUES (1)", Kind.WRITE, None, "t"),
        ('REPLACE INTO "Main"."My T" VALUES (1)', Kind.WRITE, "main", "my t"),
        ("insert or ignore into [a;b] default values", Kind.WRITE, None, "a;b"),
        ("WITH x AS (DELETE_ME) UPDATE t SET a = 1", Kind.WRITE, None, "t"),
        ("UPDATE OR REPLACE temp.t SET a = 1", Kind.WRITE, "temp", "t"),
        ("DELETE FROM `t`", Kind.WRITE, None, "t"),
        ("CREATE TEMPORARY VIEW v AS SELECT 1", Kind.DDL, None, "v"),
        ("CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a)", Kind.DDL, None, "i"),
        ("CREATE VIRTUAL TABLE f USING fts5(a)", Kind.DDL, None, "f"),
        ("DROP TABLE IF EXISTS main.t", Kind.DDL, "main", "t"),
        ("ALTER TABLE t ADD COLUMN a", Kind.DDL, None, "t"),
        ("BEGIN DEFERRED TRANSACTION", Kind.BEGIN, None, ""),
        ("end", Kind.COMMIT, None, ""),
        ("ROLLBACK", Kind.ROLLBACK, None, ""),
        ("ROLLBACK TRANSACTION TO SAVEPOINT 'S'", Kind.ROLLBACK_TO, None, "s"),
        ("SAVEPOINT [S]", Kind.SAVEPOINT, None, "s"),
        ("RELEASE SAVEPOINT s", Kind.RELEASE, None, "s"),
        ("PRAGMA main.user_version = 5", Kind.PRAGMA, "main", "user_version"),
        ("DETACH x", Kind.ATTACH, None, ""),
        ("VACUUM INTO 'x'", Kind.VACUUM, None, ""),
        ("EXPLAIN QUERY PLAN SELECT 1", Kind.EXPLAIN, None, ""),
        ("ANALYZE", Kind.OTHER, None, ""),
        (";;", Kind.EMPTY, None, ""),
        ("", Kind.EMPTY, None, ""),
        ("nonsense here", Kind.OTHER, None, ""),
    ],
)
def test_the_kind_and_the_target_of_a_text(sql: str, kind: Kind, schema: str | None, name: str) -> None:
    found = classify(sql)
    assert (found.kind, found.schema, found.name) == (kind, schema, name)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("INSERT INTO t VALUES (1, (2), f(3))", Rows.ONE),
        ("INSERT INTO t (a, b) VALUES (?, ?)", Rows.ONE),
        ("INSERT INTO t DEFAULT VALUES", Rows.ONE),
        ("INSERT INTO t VALUES (1), (2)", Rows.MANY),
        ("INSERT INTO t VALUES ((SELECT max(a) FROM t WHERE b IN (1, 2)))", Rows.ONE),
        ("INSERT INTO t SELECT 1", Rows.QUERY),
        ("INSERT INTO t (a) WITH x AS (SELECT 1) SELECT * FROM x", Rows.QUERY),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = (1), c = (2)", Rows.ONE),
        ("INSERT INTO t VALUES (1) RETURNING (a), (b)", Rows.ONE),
        ("INSERT INTO t VALUES (1) UNION ALL SELECT 2", Rows.QUERY),
    ],
)
def test_how_many_rows_an_insert_has_by_its_text(sql: str, rows: Rows) -> None:
    assert classify(sql).rows is rows


def test_what_else_a_write_says() -> None:
    assert classify("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING").upsert_updates is False
    assert classify("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1").upsert_updates is True
    assert classify("UPDATE t SET a = (SELECT b FROM u LIMIT 1)").limit is False
    assert classify("UPDATE t SET a = 1 LIMIT 1").limit is True
    assert classify("UPDATE t SET a = u.b FROM u").update_from is True
    assert classify("UPDATE t SET a = (SELECT b FROM u)").update_from is False
    assert classify("DELETE FROM t RETURNING a").returning is True
    assert classify("INSERT OR FAIL INTO t VALUES (1)").or_action == "FAIL"
    assert classify("SELECT 'random()' FROM t").functions == frozenset()
    assert classify("SELECT datetime('now')").uses_now is True
    assert classify("SELECT date FROM t").uses_now is False
    assert classify("SELECT ?, ?2, :a, @b, $c, :a").variables == ("", "?2", "a", "b", "c")


def test_shapes_differ_by_everything_but_literals_and_list_lengths() -> None:
    same = classify("SELECT a FROM t WHERE b IN (1, 2, 3) AND c = 'x'").shape
    assert classify("select a from t where b in (?) and c = ?").shape != 0
    assert classify("SELECT a FROM t WHERE b IN (?, ?) AND c = ?").shape == same
    assert classify("SELECT a FROM t WHERE b IN (9) AND c = :c").shape == same
    assert classify("SELECT b FROM t WHERE b IN (9) AND c = :c").shape != same


def test_a_script_is_split_where_sqlite_ends_statements() -> None:
    script = """
        CREATE TABLE t (a DEFAULT ';'); -- one; two
        CREATE TEMP TRIGGER IF NOT EXISTS x AFTER INSERT ON t BEGIN
            UPDATE t SET a = CASE WHEN a THEN 1 ELSE 2 END;
            SELECT 'END;';
        END;;
        /* ; */ INSERT INTO t VALUES ("a;b", [c;d], `e;f`)
    """
    parts = split(script)
    assert [p.split()[0] for p in parts] == ["CREATE", "CREATE", "INSERT"]
    assert parts[1].endswith("END")
    for part in parts[:2]:
        assert sqlite3.complete_statement(part + ";")
    assert split("  ; ; -- nothing") == []


@given(st.text(alphabet="abEND'\"[]`;-/*?:@$ \n.0xX1e+(),", max_size=40))
def test_the_tokenizer_takes_any_text_and_covers_it_in_order(text: str) -> None:
    at = 0
    for token in tokenize(text):
        assert at <= token.start < token.end <= len(text)
        between = text[at : token.start]
        assert not between.strip() or "--" in between or "/*" in between
        at = token.end


def test_numbers_blobs_and_quotes_are_single_tokens() -> None:
    kinds = [(t.kind, t.value) for t in tokenize("1.5e-3 .5 0xFF x'00' 'it''s' \"a\"\"b\" 12ab a$b ->> ?1 'open")]
    assert kinds == [
        (T.NUMBER, "1.5e-3"),
        (T.NUMBER, ".5"),
        (T.NUMBER, "0xFF"),
        (T.BLOB, "x'00'"),
        (T.STRING, "it's"),
        (T.QUOTED, 'a"b'),
        (T.ILLEGAL, "12ab"),
        (T.WORD, "A$B"),
        (T.OPERATOR, "->"),
        (T.OPERATOR, ">"),
        (T.VARIABLE, "?1"),
        (T.ILLEGAL, "'open"),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (1)",
        "  insert into t values (1)",
        "-- c\nUPDATE t SET a = 1",
        "/* c */ DELETE FROM t",
        "REPLACE INTO t VALUES (1)",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT 1",
        "SELECT 1",
        "CREATE TABLE u (a)",
    ],
)
def test_python_begins_a_transaction_exactly_where_we_think(sql: str) -> None:
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE t (a)")
    conn.execute(sql)
    assert conn.in_transaction is python_begins(sql)
    conn.close()
