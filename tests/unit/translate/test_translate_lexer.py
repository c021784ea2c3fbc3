"""Tokens, parameters as SQLite numbers them, scripts, shapes."""

from __future__ import annotations

import sqlite3
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.translate import fingerprint, normalise, split
from shadow.translate.lexer import LexError, T, lex


def test_parameters_are_numbered_as_sqlite_numbers_them() -> None:
    sql = "SELECT ?, :a, ?7, @b, :a, $c::d(e), ?"
    assert lex(sql).parameters == (None, "a", None, None, None, None, None, "b", "c::d(e)", None)
    conn = sqlite3.connect(":memory:")
    assert conn.execute("SELECT ?, :a, ?4, ?", (1, 2, 3, 4, 5)).fetchone() == (1, 2, 4, 5)
    assert lex("SELECT ?, :a, ?4, ?").parameters == (None, "a", None, None, None)
    conn.close()


def test_literals_and_comments_hide_what_looks_like_a_parameter() -> None:
    tokens = lex("SELECT '?', \"a?\", [b?], `c?` -- ?\n /* ? */, 50 % 3").tokens
    assert not [t for t in tokens if t.kind is T.PARAM]


@pytest.mark.parametrize("sql", ["SELECT 'open", "SELECT \\x", 'SELECT "open', "SELECT {"])
def test_what_is_no_token_is_an_error_with_its_place(sql: str) -> None:
    with pytest.raises(LexError) as caught:
        lex(sql)
    assert caught.value.start == 7


@given(st.text(alphabet="aA1 '\"`[]?:@$.,;()-*/|<>=!%_\n", max_size=30))
def test_the_lexer_only_ever_fails_with_its_own_error(sql: str) -> None:
    try:
        tokens = lex(sql).tokens
    except LexError:
        return
    assert tokens[-1].kind is T.END
    assert all(a.end <= b.start for a, b in pairwise(tokens))


def test_a_script_is_split_at_its_statements() -> None:
    script = """
    CREATE TABLE a (x); -- first; one
    CREATE TRIGGER tr AFTER INSERT ON a BEGIN
        UPDATE a SET x = CASE WHEN x THEN 1 ELSE 2 END; DELETE FROM a;
    END;
    INSERT INTO a VALUES (';'); ;
    SELECT 1
    """
    found = split(script)
    assert [s.split()[0] for s in found] == ["CREATE", "CREATE", "INSERT", "SELECT"]
    assert found[1].endswith("END")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("SELECT * FROM t WHERE a = 1", "select *  from T where A=?  -- x"),
        ("SELECT 1 FROM t WHERE a IN (1, 2, 3)", "SELECT 1 FROM t WHERE a IN (?)"),
        ("INSERT INTO t VALUES (1, 2), (3, 4), (5, 6)", "INSERT INTO t VALUES (?, ?)"),
        ("SELECT 'a' == x;", "SELECT 'b' = x"),
    ],
)
def test_statements_of_one_shape_have_one_fingerprint(a: str, b: str) -> None:
    assert fingerprint(a) == fingerprint(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("SELECT a FROM t", "SELECT b FROM t"),
        ("SELECT f(1, 2)", "SELECT f(1)"),
        ("SELECT 1 WHERE a AND b", "SELECT 1 WHERE a OR b"),
    ],
)
def test_statements_of_other_shapes_have_others(a: str, b: str) -> None:
    assert fingerprint(a) != fingerprint(b)


def test_the_normal_form_is_for_people() -> None:
    assert (
        normalise("select  name from t where id in (1,2) and x='secret' ;")
        == "select name from t where id in (?) and x = ?"
    )
