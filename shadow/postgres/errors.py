"""PostgreSQL's errors as sqlite3 would raise them: class, wording, `sqlite_errorcode` and `sqlite_errorname`.

Apps parse these texts (`UNIQUE constraint failed: t.a`), so they are SQLite's own. What PostgreSQL names by its own
names (index, constraint) is looked up in the app's catalog. Catalog questions such as a missing column are answered by
`schema.Replica` before a statement is sent; the entries for them here are for races with somebody's DDL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Protocol

import psycopg2

#: The key on the hidden rowid column, as `schema.convert` names it; the app's catalog does not know it.
_ROWID_KEY_SUFFIX = "_rowid"


class _Index(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def pg_name(self) -> str: ...
    @property
    def columns(self) -> tuple[str | None, ...]: ...
    @property
    def origin(self) -> str: ...


class _Table(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def indexes(self) -> Sequence[_Index]: ...
    @property
    def checks(self) -> Sequence[tuple[str, str]]: ...
    def check_name(self, ordinal: int, /) -> str: ...


class SchemaFacts(Protocol):
    """The part of `translate.catalog.Catalog` that error texts need."""

    @property
    def tables(self) -> Mapping[str, _Table]: ...


#: (class, sqlite_errorcode, sqlite_errorname)
_Kind = tuple[type[sqlite3.Error], int, str]

_ERROR: _Kind = (sqlite3.OperationalError, 1, "SQLITE_ERROR")
_BUSY: _Kind = (sqlite3.OperationalError, 5, "SQLITE_BUSY")
_MISMATCH: _Kind = (sqlite3.IntegrityError, 20, "SQLITE_MISMATCH")
_TRIGGER: _Kind = (sqlite3.IntegrityError, 1811, "SQLITE_CONSTRAINT_TRIGGER")
_LOST: _Kind = (sqlite3.OperationalError, 10, "SQLITE_IOERR")

LOCKED = "database is locked"
_LOST_TEXT = "the connection to PostgreSQL was lost; the transaction is rolled back unless it was just being committed"

#: SQLSTATEs whose text is always the same.
_FIXED: dict[str, tuple[_Kind, str]] = {
    "23503": ((sqlite3.IntegrityError, 787, "SQLITE_CONSTRAINT_FOREIGNKEY"), "FOREIGN KEY constraint failed"),
    "40001": (_BUSY, LOCKED),
    "40P01": (_BUSY, LOCKED),
    "55P03": (_BUSY, LOCKED),
    "57014": ((sqlite3.OperationalError, 9, "SQLITE_INTERRUPT"), "interrupted"),
    "53100": ((sqlite3.OperationalError, 13, "SQLITE_FULL"), "database or disk is full"),
    "53200": ((sqlite3.OperationalError, 7, "SQLITE_NOMEM"), "out of memory"),
    "25006": ((sqlite3.OperationalError, 8, "SQLITE_READONLY"), "attempt to write a readonly database"),
    "22003": (_ERROR, "integer overflow"),
    "22P02": (_MISMATCH, "datatype mismatch"),
    "54000": ((sqlite3.DataError, 18, "SQLITE_TOOBIG"), "string or blob too big"),
}

#: Classes of SQLSTATEs, and single ones, after which the connection is gone.
_LOST_STATES = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")

_BY_CLASS: dict[str, _Kind] = {
    "0A": (sqlite3.NotSupportedError, 1, "SQLITE_ERROR"),
    "23": (sqlite3.IntegrityError, 19, "SQLITE_CONSTRAINT"),
    "XX": (sqlite3.InternalError, 2, "SQLITE_INTERNAL"),
}


def sqlite_error(kind: type[sqlite3.Error], message: str, code: int, name: str) -> sqlite3.Error:
    """An exception as CPython's sqlite3 builds it."""
    error = kind(message)
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error


def locked() -> sqlite3.Error:
    """`database is locked`, as from SQLite itself."""
    return sqlite_error(_BUSY[0], LOCKED, _BUSY[1], _BUSY[2])


def lost(detail: str = "") -> sqlite3.Error:
    return sqlite_error(_LOST[0], f"{_LOST_TEXT}{f' ({detail})' if detail else ''}", _LOST[1], _LOST[2])


def is_lost(error: psycopg2.Error) -> bool:
    """Whether the connection is gone with this error."""
    state = error.pgcode
    if state is not None:
        return state.startswith(_LOST_STATES)
    # Without a server's answer there is no SQLSTATE: libpq noticed that the socket is closed.
    return isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.DatabaseError))


def to_sqlite_error(error: psycopg2.Error, catalog: SchemaFacts | None) -> sqlite3.Error:
    """What sqlite3 would have raised. `catalog` names constraints and columns as SQLite does."""
    if is_lost(error):
        return lost(_first_line(error) if error.pgcode else "")
    state = error.pgcode or ""
    if state in _FIXED:
        kind, message = _FIXED[state]
        return sqlite_error(kind[0], message, kind[1], kind[2])
    special = _SPECIAL.get(state)
    if special is not None:
        return special(error, catalog)
    kind = _BY_CLASS.get(state[:2], _ERROR)
    return sqlite_error(kind[0], _first_line(error), kind[1], kind[2])


def _unique(error: psycopg2.Error, catalog: SchemaFacts | None) -> sqlite3.Error:
    table = _table(error, catalog)
    constraint = error.diag.constraint_name or ""
    index = next((i for i in table.indexes if i.pg_name == constraint), None) if table is not None else None
    primary = index is not None and index.origin == "pk"
    if table is not None and index is not None and None not in index.columns:
        name = ", ".join(f"{table.name}.{column}" for column in index.columns)
    elif table is not None and index is None and constraint.endswith(_ROWID_KEY_SUFFIX):
        name, primary = f"{table.name}.rowid", True
    else:
        name = f"index '{index.name if index is not None else constraint}'"  # over an expression
    code, code_name = (1555, "SQLITE_CONSTRAINT_PRIMARYKEY") if primary else (2067, "SQLITE_CONSTRAINT_UNIQUE")
    return sqlite_error(sqlite3.IntegrityError, f"UNIQUE constraint failed: {name}", code, code_name)


def _not_null(error: psycopg2.Error, catalog: SchemaFacts | None) -> sqlite3.Error:
    table = _table(error, catalog)
    column = error.diag.column_name or ""
    where = f"{table.name if table else error.diag.table_name}.{column}"
    return sqlite_error(
        sqlite3.IntegrityError, f"NOT NULL constraint failed: {where}", 1299, "SQLITE_CONSTRAINT_NOTNULL"
    )


def _check(error: psycopg2.Error, catalog: SchemaFacts | None) -> sqlite3.Error:
    table = _table(error, catalog)
    constraint = error.diag.constraint_name or ""
    text = constraint
    for ordinal, (expression, name) in enumerate(table.checks if table is not None else ()):
        if table is not None and constraint == table.check_name(ordinal):
            text = name or expression
    return sqlite_error(sqlite3.IntegrityError, f"CHECK constraint failed: {text}", 275, "SQLITE_CONSTRAINT_CHECK")


def _no_table(error: psycopg2.Error, catalog: SchemaFacts | None) -> sqlite3.Error:
    return _sqlite_error("no such table: " + _quoted_name(error).rpartition(".")[2])


def _no_column(error: psycopg2.Error, catalog: SchemaFacts | None) -> sqlite3.Error:
    return _sqlite_error("no such column: " + _quoted_name(error))


def _no_function(error: psycopg2.Error, catalog: SchemaFacts | None) -> sqlite3.Error:
    return _sqlite_error("no such function: " + _first_line(error).removeprefix("function ").partition("(")[0])


def _syntax(error: psycopg2.Error, catalog: SchemaFacts | None) -> sqlite3.Error:
    return _sqlite_error(f'near "{_quoted_name(error)}": syntax error')


def _exists(error: psycopg2.Error, catalog: SchemaFacts | None) -> sqlite3.Error:
    return _sqlite_error(f"table {_quoted_name(error)} already exists")


def _raised(error: psycopg2.Error, catalog: SchemaFacts | None) -> sqlite3.Error:
    """ON DELETE RESTRICT, where SQLite raises from a trigger of its own; the text is SQLite's already."""
    return sqlite_error(_TRIGGER[0], error.diag.message_primary or "", _TRIGGER[1], _TRIGGER[2])


_SPECIAL = {
    "23505": _unique,
    "23502": _not_null,
    "23514": _check,
    "42P01": _no_table,
    "42703": _no_column,
    "42883": _no_function,
    "42601": _syntax,
    "42P07": _exists,
    "SH003": _raised,
}


def _sqlite_error(message: str) -> sqlite3.Error:
    return sqlite_error(_ERROR[0], message, _ERROR[1], _ERROR[2])


def _table(error: psycopg2.Error, catalog: SchemaFacts | None) -> _Table | None:
    name = error.diag.table_name
    return catalog.tables.get(name.lower()) if catalog is not None and name else None


def _first_line(error: psycopg2.Error) -> str:
    text = error.diag.message_primary or str(error)
    return text.strip().partition("\n")[0]


def _quoted_name(error: psycopg2.Error) -> str:
    """The name in a message such as: relation "app.x" does not exist, column t.y does not exist."""
    text = _first_line(error)
    if '"' in text:
        return text.partition('"')[2].partition('"')[0]
    words = text.split()
    return words[1] if len(words) > 1 else text
