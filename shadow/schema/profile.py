"""Which PostgreSQL type a column gets: its declaration is a hint, what is stored decides.

One scan of each table asks every column for the classes of its values. A type is chosen only if every stored value
comes back unchanged and the declaration leaves room for what the app may still write; anything else is `shadow.value`.
Text that PostgreSQL cannot hold at all (NUL characters, bytes that are not UTF-8) is a blocking finding.
"""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..translate.catalog import Affinity, Catalog, Column, PgType, Table, fold
from .inspect import column_types, declared_type, inspect
from .names import origin_rowid, quote

_COLUMNS_PER_SCAN = 200  # results of one SELECT are limited to 2,000
_ROWS_NAMED_MAX = 10
_NUL, _NOT_UTF8 = 1, 2


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the app's schema or rows that a person should know."""

    table: str
    column: str
    #: type | text | default | check | index | unique | generated | view | trigger | virtual | orphan
    kind: str
    message: str
    #: The first rows concerned, by primary key or rowid.
    keys: tuple[tuple[object, ...], ...] = ()
    #: True: nothing can be copied before this is settled.
    blocking: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """The classes of values that a column holds; `lowest == highest` when there is only one."""

    lowest: str | None
    highest: str | None
    #: All integers are 0 or 1; asked only of columns declared as booleans.
    binary: bool
    #: `_NUL` or `_NOT_UTF8` when some text has it, else 0.
    bad_text: int


@dataclass(frozen=True, slots=True)
class Profile:
    """What one look at all rows gave."""

    catalog: Catalog
    findings: tuple[Finding, ...]
    #: Rows of each table, by folded name.
    rows: Mapping[str, int]
    #: (folded table, folded column) whose type in the catalog that was given cannot hold what is stored.
    misfits: frozenset[tuple[str, str]]


def profile(conn: sqlite3.Connection, catalog: Catalog) -> tuple[Catalog, list[Finding]]:
    """The catalog with types chosen by what is stored, and what was found; reads in the caller's snapshot, if any."""
    found = profile_rows(conn, catalog)
    return found.catalog, list(found.findings)


def profile_rows(conn: sqlite3.Connection, catalog: Catalog) -> Profile:
    """As `profile`, with the size of each table."""
    _register(conn)
    types = column_types(catalog)
    findings: list[Finding] = []
    rows: dict[str, int] = {}
    misfits: set[tuple[str, str]] = set()
    for key, table in catalog.tables.items():
        rows[key] = 0
        if table.virtual:
            message = f"{table.name} belongs to a virtual table: its rows stay in SQLite"
            findings.append(Finding(table.name, "", "virtual", message))
            continue
        for count, column, stored in _scan(conn, table):
            chosen = choose(column, stored, alias=column.name == table.rowid_alias)
            types[key, fold(column.name)] = chosen
            findings += _findings(conn, table, column, stored, chosen)
            if not holds(column.pg_type, stored):
                misfits.add((key, fold(column.name)))
            rows[key] = count
    chosen_catalog = inspect(conn, pg_schema=catalog.pg_schema, types=types)
    return Profile(chosen_catalog, tuple(findings), rows, frozenset(misfits))


def choose(column: Column, stored: Stored, *, alias: bool = False) -> PgType:
    """The most idiomatic type that gives back what is stored and what the declaration may still bring."""
    declared = declared_type(column.declared, column.affinity)
    if alias or stored.lowest is None:
        return PgType.BIGINT if alias else declared
    if stored.lowest != stored.highest:
        return PgType.VALUE
    only = stored.lowest
    if column.generated is not None and not column.declared:
        return _BY_CLASS[only]
    upper = column.declared.upper()
    match column.affinity, only:
        case (Affinity.INTEGER, "integer") | (Affinity.REAL, "real") | (Affinity.TEXT, "text"):
            return declared
        case Affinity.BLOB, "blob":
            return declared
        case Affinity.NUMERIC, "integer" if upper in ("BOOL", "BOOLEAN"):
            return PgType.BOOLEAN if stored.binary else PgType.BIGINT
        case Affinity.NUMERIC, "text" if declared is PgType.TEXT:
            return PgType.TEXT
        case Affinity.NUMERIC, "integer" if declared is PgType.TEXT:
            return PgType.BIGINT  # a timestamp kept as seconds
        case _:
            return PgType.VALUE


def holds(pg_type: PgType, stored: Stored) -> bool:
    """Whether a column of that type gives back what is stored."""
    if pg_type is PgType.VALUE or stored.lowest is None:
        return True
    if stored.lowest != stored.highest:
        return False
    if pg_type is PgType.BOOLEAN:
        return stored.lowest == "integer" and stored.binary
    return _BY_CLASS[stored.lowest] is pg_type


_BY_CLASS = {"integer": PgType.BIGINT, "real": PgType.DOUBLE, "text": PgType.TEXT, "blob": PgType.BYTEA}


def _scan(conn: sqlite3.Connection, table: Table) -> Iterator[tuple[int, Column, Stored]]:
    for start in range(0, len(table.columns), _COLUMNS_PER_SCAN):
        part = table.columns[start : start + _COLUMNS_PER_SCAN]
        row = _scan_row(conn, table, [_terms(column, _NUL_TEST) for column in part])
        if row is None:  # somewhere is text that is not UTF-8: look at it as bytes, which takes longer
            row = _scan_row(conn, table, [_terms(column, _BAD_TEST) for column in part])
            assert row is not None
        for i, column in enumerate(part):
            lowest, highest, binary, bad = row[4 * i + 1 : 4 * i + 5]
            yield row[0], column, Stored(lowest, highest, bool(binary), int(bad or 0))


def _scan_row(conn: sqlite3.Connection, table: Table, terms: Sequence[str]) -> tuple[Any, ...] | None:
    sql = f"SELECT count(*), {', '.join(terms)} FROM main.{quote(table.name)}"
    try:
        row: tuple[Any, ...] = sqlite3.Cursor(conn).execute(sql).fetchone()
    except sqlite3.OperationalError as error:
        if "user-defined function" in str(error):
            return None
        raise
    return row


#: Two looks at a text: a function written in C that fails for bytes that are not UTF-8, and one that tells them apart.
_NUL_TEST = "_shadow_nul({name}, char(0))"
_BAD_TEST = "_shadow_bad_text(CAST({name} AS BLOB))"


def _terms(column: Column, bad_test: str) -> str:
    name = quote(column.name)
    boolean = column.declared.upper() in ("BOOL", "BOOLEAN")
    return (
        f"min(typeof({name})) FILTER (WHERE {name} IS NOT NULL), max(typeof({name})) FILTER (WHERE {name} IS NOT NULL),"
        f" {f'min({name}) >= 0 AND max({name}) <= 1' if boolean else '0'},"
        f" max({bad_test.replace('{name}', name)}) FILTER (WHERE typeof({name}) = 'text')"
    )


def _register(conn: sqlite3.Connection) -> None:
    encoding = str(sqlite3.Cursor(conn).execute("PRAGMA encoding").fetchone()[0]).lower()

    def bad_text(raw: bytes) -> int:
        try:
            return _NUL if "\0" in raw.decode(encoding) else 0
        except UnicodeDecodeError:
            return _NOT_UTF8

    sqlite3.Connection.create_function(conn, "_shadow_bad_text", 1, bad_text, deterministic=True)
    sqlite3.Connection.create_function(conn, "_shadow_nul", 2, operator.contains, deterministic=True)


def _findings(
    conn: sqlite3.Connection, table: Table, column: Column, stored: Stored, chosen: PgType
) -> Iterator[Finding]:
    name = quote(column.name)
    if stored.bad_text:
        what = "text with NUL characters" if stored.bad_text == _NUL else "text that is not UTF-8"
        condition = f"typeof({name}) = 'text' AND _shadow_bad_text(CAST({name} AS BLOB))"
        keys = _keys(conn, table, condition)
        yield Finding(
            table.name,
            column.name,
            "text",
            f"{table.name}.{column.name} has {what}, which PostgreSQL cannot hold, in the rows {_named(keys)};"
            " correct these rows, or store them as BLOB",
            keys,
            blocking=True,
        )
    declared = declared_type(column.declared, column.affinity)
    if chosen is PgType.VALUE and declared is not PgType.VALUE:
        fits = {PgType.BIGINT: "integer", PgType.DOUBLE: "real", PgType.TEXT: "text", PgType.BYTEA: "blob"}
        keys = _keys(conn, table, f"typeof({name}) NOT IN ('null', '{fits.get(declared, 'integer')}')")
        held = stored.lowest if stored.lowest == stored.highest else f"{stored.lowest} and {stored.highest}"
        yield Finding(
            table.name,
            column.name,
            "type",
            f"{table.name}.{column.name} is declared {column.declared} and holds {held} values;"
            f" it becomes {PgType.VALUE.value}, rows {_named(keys)}",
            keys,
        )


def orphans(conn: sqlite3.Connection, catalog: Catalog) -> list[Finding]:
    """Rows that break a declared foreign key: SQLite did not ask; `finalize` will not be able to add that key."""
    findings = []
    for table in catalog.tables.values():
        for key in table.foreign_keys:
            parent = catalog.table(key.parent)
            columns = ", ".join(key.columns)
            if parent is None:
                message = f"{table.name}({columns}) refers to {key.parent}, which is not there"
                findings.append(Finding(table.name, columns, "orphan", message))
        if not all(catalog.table(key.parent) for key in table.foreign_keys) or not table.foreign_keys:
            continue  # SQLite's own check would call every row an orphan of the missing table
        try:
            found = sqlite3.Cursor(conn).execute(
                "SELECT fkid, count(*), min(rowid), parent FROM pragma_foreign_key_check(?) GROUP BY fkid",
                (table.name,),
            )
            for _, count, first, parent_name in found.fetchall():
                message = f"{table.name} has {count} rows whose row in {parent_name} is not there, the first is {first}"
                findings.append(Finding(table.name, "", "orphan", message, ((first,),)))
        except sqlite3.Error as error:  # a key on columns that are not unique, for one
            findings.append(Finding(table.name, "", "orphan", f"keys of {table.name} cannot be checked: {error}"))
    return findings


def key_terms(table: Table) -> Sequence[str]:
    """SQLite's expressions that name a row to a person: the declared key if there is one, else the rowid."""
    declared = [quote(c.name) for c in sorted((c for c in table.columns if c.pk), key=lambda c: c.pk)]
    return declared or [origin_rowid(table) or "1"]


def _keys(conn: sqlite3.Connection, table: Table, condition: str) -> tuple[tuple[object, ...], ...]:
    terms = ", ".join(f"CASE typeof({t}) WHEN 'text' THEN quote({t}) ELSE {t} END" for t in key_terms(table))
    sql = f"SELECT {terms} FROM main.{quote(table.name)} WHERE {condition} LIMIT {_ROWS_NAMED_MAX}"
    return tuple(sqlite3.Cursor(conn).execute(sql).fetchall())


def _named(keys: Sequence[tuple[object, ...]]) -> str:
    more = " ..." if len(keys) == _ROWS_NAMED_MAX else ""
    return ", ".join("/".join(str(part) for part in key) for key in keys) + more
