"""What a Translation says besides its text."""

from __future__ import annotations

import pytest

from shadow.translate import Kind, Order, Purpose, Special, expression, rowimage, translate
from shadow.translate.parser import ParseError, parse
from tests.unit.translate.translate_schema import catalog


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", Kind.QUERY),
        ("VALUES (1)", Kind.QUERY),
        ("WITH a AS (SELECT 1 AS x) SELECT x FROM a", Kind.QUERY),
        ("WITH a AS (SELECT 1 AS x) DELETE FROM notes WHERE item_id IN (SELECT x FROM a)", Kind.DELETE),
        ("REPLACE INTO flags VALUES ('a', 1)", Kind.INSERT),
        ("UPDATE items SET qty = 1", Kind.UPDATE),
        ("PRAGMA table_info(items)", Kind.PRAGMA),
        ("BEGIN IMMEDIATE", Kind.TRANSACTION),
        ("SAVEPOINT a", Kind.TRANSACTION),
        ("ALTER TABLE items ADD COLUMN x", Kind.DDL),
        ("VACUUM", Kind.OTHER),
        ("", Kind.OTHER),
    ],
)
def test_every_statement_has_its_kind(sql: str, kind: Kind) -> None:
    found = translate(sql, catalog())
    assert found.kind is kind
    assert found.unsupported is None


@pytest.mark.parametrize(
    ("sql", "reason", "place"),
    [
        ("SELECT id, my_func(name) FROM items", "my_func", "my_func(name)"),
        ("SELECT id FROM items ORDER BY name COLLATE german", "GERMAN", "name COLLATE german"),
        ("SELECT id FROM items WHERE name REGEXP 'a'", "REGEXP", "name REGEXP 'a'"),
        ("SELECT nope FROM items", "no such column", "nope"),
        ("SELECT 1 FROM nowhere", "no such table", "nowhere"),
        ("SELECT id FROM other.items", "not shadowed", "other.items"),
        ("SELECT FROM items", "not understood", "FROM"),
    ],
)
def test_what_has_no_faithful_form_is_said_with_reason_and_place(sql: str, reason: str, place: str) -> None:
    found = translate(sql, catalog())
    assert found.unsupported is not None
    assert reason in found.unsupported.reason
    assert sql[found.unsupported.start : found.unsupported.end] == place
    assert found.steps == ()


@pytest.mark.parametrize(
    ("sql", "order", "limited"),
    [
        ("SELECT name FROM items ORDER BY id", Order.TOTAL, False),
        ("SELECT name FROM items ORDER BY name, id LIMIT 3", Order.TOTAL, False),
        ("SELECT name FROM items ORDER BY name LIMIT 3", Order.PARTIAL, True),
        ("SELECT name FROM items LIMIT 3", Order.NONE, True),
        ("SELECT name FROM items", Order.NONE, False),
        ("SELECT COUNT(*) FROM items", Order.TOTAL, False),
        ("SELECT active, COUNT(*) FROM items GROUP BY active ORDER BY active", Order.TOTAL, False),
        ("SELECT v FROM flags ORDER BY k", Order.TOTAL, False),
    ],
)
def test_it_is_known_what_order_by_fixes(sql: str, order: Order, limited: bool) -> None:
    found = translate(sql, catalog())
    assert (found.order, found.limited) == (order, limited)


def test_tables_read_and_written_are_named() -> None:
    found = translate("INSERT INTO notes SELECT name, id FROM active_items", catalog())
    assert found.reads == {"items"}
    assert found.writes == {"notes"}
    assert translate("SELECT name FROM sqlite_master WHERE type = 'table'", catalog()).catalog_only


def test_a_default_that_asks_for_the_time_is_seen() -> None:
    assert translate("INSERT INTO items (name) VALUES ('a')", catalog()).uses_now
    assert not translate("INSERT INTO notes (body) VALUES ('a')", catalog()).uses_now
    assert translate("SELECT date('now')", catalog()).uses_now
    assert translate("SELECT random()", catalog()).nondeterministic == {"random"}


def test_an_applied_insert_takes_the_row_id_sqlite_chose() -> None:
    found = translate("INSERT INTO items (name) VALUES (?)", catalog(), param_types=(str,), purpose=Purpose.APPLY)
    assert found.steps[0].params == (0, Special.ROWID)
    assert found.bind(("x",), rowid=7)[0][1] == ("x", 7)
    given = translate(
        "INSERT INTO items (id, name) VALUES (?, ?)", catalog(), param_types=(int, str), purpose=Purpose.APPLY
    )
    assert given.bind((5, "x"), rowid=5)[0][1] == (5, "x")
    null = translate(
        "INSERT INTO items (id, name) VALUES (?, ?)", catalog(), param_types=(type(None), str), purpose=Purpose.APPLY
    )
    assert null.bind((None, "x"), rowid=5)[0][1] == (5, "x")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO notes (item_id) VALUES (random())",
        "INSERT INTO notes (item_id) VALUES (last_insert_rowid())",
        "DELETE FROM notes LIMIT 1",
        "INSERT INTO notes (body) SELECT name FROM items",
        "INSERT INTO notes (body) VALUES ('a'), ('b')",
    ],
)
def test_a_write_that_replay_does_not_determine_is_not_replayed(sql: str) -> None:
    assert translate(sql, catalog(), purpose=Purpose.APP).unsupported is None
    assert translate(sql, catalog(), purpose=Purpose.APPLY).unsupported is not None


def test_parameters_are_bound_by_name_or_by_place() -> None:
    found = translate("SELECT :b, :a, :b", catalog(), param_types={"a": int, "b": str})
    assert found.bind({"a": 1, "b": "x"})[0][1] == ("x", 1, "x")
    assert found.bind(("x", 1))[0][1] == ("x", 1, "x")
    places = translate("SELECT ?2, ?1", catalog(), param_types=(int, int))
    assert places.bind((1, 2))[0][1] == (2, 1)


def test_parameters_of_untold_class_are_taken_to_be_their_neighbours() -> None:
    found = translate("SELECT id FROM items WHERE id = ? AND price > ? AND qty IN (?, ?) LIMIT ?", catalog())
    assert found.steps[0].sql == (
        "SELECT items.id FROM public.items WHERE items.id = %s AND items.price > %s AND items.qty IN (%s, %s) "
        "ORDER BY items.id LIMIT NULLIF(GREATEST((%s)::bigint, -1), -1)"
    )
    assert translate("UPDATE items SET price = ?, active = ? WHERE id = ?", catalog()).steps[0].sql == (
        "UPDATE public.items SET price = %s, active = %s WHERE items.id = %s"
    )


def test_a_translation_is_made_once() -> None:
    first = translate("SELECT id FROM items WHERE id = ?", catalog(), param_types=(int,))
    assert translate("SELECT id FROM items WHERE id = ?", catalog(), param_types=(int,)) is first
    assert translate("SELECT id FROM items WHERE id = ?", catalog(), param_types=(str,)) is not first


def test_expressions_of_ddl_stand_over_the_tables_own_columns() -> None:
    table = catalog().tables["items"]
    assert expression("qty >= 0 AND price < 5", table, catalog()) == "qty >= 0 AND price < 5"
    assert expression("lower(name)", table, catalog()) == 'lower("name" COLLATE "C")'
    assert expression("CURRENT_TIMESTAMP", table, catalog()) == "to_char(shadow.now(), 'YYYY-MM-DD HH24:MI:SS')"
    with pytest.raises(ValueError, match="my_func"):
        expression("my_func(name)", table, catalog())


def test_row_images_name_every_stored_column() -> None:
    found = catalog()
    assert rowimage.upsert(found.tables["notes"], found).count("%s") == 3
    assert (
        rowimage.delete(found.tables["notes"], found) == "DELETE FROM public.notes WHERE _shadow_rowid = (%s)::bigint"
    )
    assert rowimage.delete(found.tables["flags"], found) == "DELETE FROM public.flags WHERE k = (%s)::text"


@pytest.mark.parametrize(
    "sql", ["SELECT", "SELECT 1 2 3", "INSERT t", "SELECT (1", "SELECT 1 FROM", "DELETE items", "SELECT a.b.c.d", "("]
)
def test_what_is_not_in_the_grammar_is_rejected(sql: str) -> None:
    with pytest.raises(ParseError):
        parse(sql)


def test_depth_is_limited_without_a_crash() -> None:
    found = translate("SELECT " + "(" * 5000 + "1" + ")" * 5000, catalog())
    assert found.unsupported is not None
    found = translate("SELECT " + "-" * 1 + " -".join("1" for _ in range(3000)), catalog())
    assert found.unsupported is not None or found.steps


def test_an_applied_upsert_that_met_a_conflict_needs_no_row_id() -> None:
    found = translate(
        "INSERT INTO items (name, qty) VALUES (?, ?) ON CONFLICT (name, qty) DO UPDATE SET price = 1",
        catalog(),
        param_types=(str, int),
        purpose=Purpose.APPLY,
    )
    assert "COALESCE((%s)::bigint, 0)" in found.steps[0].sql
    assert found.bind(("a", 1), rowid=None)[0][1] == ("a", 1, None)
