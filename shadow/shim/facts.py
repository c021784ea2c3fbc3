"""What the shim must know of the app's tables to say whether a statement can be replayed.

Read from SQLite itself when first needed, shared by all connections of the process, and replaced when the catalog
version in the control row changes. Names are folded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .classify import COUNTER_FUNCTIONS, asks_for_now, fold, mentions
from .plain import ask
from .tokens import T, tokenize

_FILES_MAX = 16


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table (or view) of the app's file."""

    name: str
    #: table, view, virtual.
    kind: str
    without_rowid: bool
    #: The INTEGER PRIMARY KEY column that is the rowid.
    alias: str | None
    #: Columns that hold data of their own, as written.
    stored: tuple[str, ...]
    primary_key: tuple[str, ...]
    #: Called or named in its own text: defaults, CHECKs, generated columns.
    functions: frozenset[str]
    uses_now: bool
    #: Has ON CONFLICT clauses of its own.
    conflict_clause: bool
    #: Texts of the app's triggers on it.
    triggers: tuple[str, ...]
    #: Those ask for `changes()` or its kin.
    triggers_count: bool

    @property
    def rowid_name(self) -> str | None:
        """A name by which SQLite gives the hidden rowid; None: there is none, or every name is taken."""
        if self.without_rowid or self.alias is not None or self.kind != "table":
            return None
        taken = {fold(c) for c in self.stored}
        return next((n for n in ("rowid", "_rowid_", "oid") if n not in taken), None)


@dataclass(frozen=True, slots=True)
class ForeignKeyAction:
    """A key whose parent's DELETE or UPDATE changes the child."""

    child: str
    parent: str


class FileFacts:
    """All tables of one state of the schema."""

    __slots__ = ("actions", "plans", "tables")

    def __init__(self, tables: dict[str, TableFacts], actions: tuple[ForeignKeyAction, ...]) -> None:
        self.tables = tables
        self.actions = actions
        #: Decisions of `shim.plan`, by statement; one mapping for each setting of PRAGMA foreign_keys.
        self.plans: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})

    def children(self, parent: str) -> frozenset[str]:
        return frozenset(a.child for a in self.actions if a.parent == parent)

    def closure(self, start: str, *, foreign_keys: bool) -> tuple[str, ...]:
        """Every table that a write to `start` may change through triggers and, if enforced, key actions."""
        found: set[str] = set()
        waiting = [start]
        while waiting:
            name = waiting.pop()
            table = self.tables.get(name)
            if table is None or name in found:
                continue
            found.add(name)
            for text in table.triggers:
                _, named = mentions(tokenize(text))
                waiting += [n for n in named if n in self.tables]
            if foreign_keys:
                waiting += self.children(name)
        return tuple(sorted(n for n in found if self.tables[n].kind != "view"))

    def with_hidden_rowid(self) -> tuple[str, ...]:
        """Tables whose row ids VACUUM may change."""
        return tuple(n for n, t in self.tables.items() if t.kind == "table" and t.alias is None and not t.without_rowid)


_known: dict[tuple[str, int], FileFacts] = {}


def facts_for(conn: sqlite3.Connection, path: str, catalog_version: int) -> FileFacts:
    """The facts of this version of the schema; call inside a transaction, so that version and tables fit."""
    key = (path, catalog_version)
    known = _known.get(key)
    if known is None:
        known = load(conn)
        if len(_known) >= _FILES_MAX:
            _known.pop(next(iter(_known)), None)
        _known[key] = known
    return known


def forget(path: str, catalog_version: int) -> None:
    """The version was made by a transaction that did not commit, or something else than its number tells."""
    _known.pop((path, catalog_version), None)


@contextmanager
def plain_text(conn: sqlite3.Connection) -> Iterator[None]:
    """Text comes as str, whatever the app has set on its connection."""
    factory = conn.text_factory
    if factory is str:
        yield
        return
    conn.text_factory = str
    try:
        yield
    finally:
        conn.text_factory = factory


def load(conn: sqlite3.Connection) -> FileFacts:
    """Read the schema of the main file."""
    with plain_text(conn):
        master = ask(
            conn,
            "SELECT type, name, tbl_name, sql FROM main.sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        )
        listed = {
            fold(r[0]): (r[1], bool(r[2]))
            for r in ask(conn, "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'")
        }
        triggers: dict[str, list[str]] = {}
        for kind, name, table, sql in master:
            if kind == "trigger" and not name.startswith("_shadow_"):
                triggers.setdefault(fold(table), []).append(sql or "")
        tables: dict[str, TableFacts] = {}
        actions: list[ForeignKeyAction] = []
        for kind, name, _, sql in master:
            if kind in ("table", "view") and not name.startswith("_shadow_"):
                table_kind, without_rowid = listed.get(fold(name), (kind, False))
                tables[fold(name)] = _table(
                    conn, name, table_kind, without_rowid, sql or "", tuple(triggers.get(fold(name), ()))
                )
                if table_kind == "table":
                    actions += _actions(conn, name)
    return FileFacts(tables, tuple(actions))


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _table(
    conn: sqlite3.Connection, name: str, kind: str, without_rowid: bool, sql: str, triggers: tuple[str, ...]
) -> TableFacts:
    tokens = tokenize(sql)
    functions, identifiers = mentions(tokens)
    stored: tuple[str, ...] = ()
    key: list[tuple[int, str]] = []
    alias: str | None = None
    if kind == "table":
        columns = ask(conn, f"PRAGMA main.table_xinfo({quote(name)})")
        stored = tuple(c[1] for c in columns if c[6] == 0)
        key = sorted((c[5], c[1]) for c in columns if c[5])
        if len(key) == 1 and not without_rowid:
            declared = next(c[2] for c in columns if c[5])
            indexed = any(i[3] == "pk" for i in ask(conn, f"PRAGMA main.index_list({quote(name)})"))
            # INTEGER PRIMARY KEY DESC looks alike but is an ordinary index.
            alias = key[0][1] if fold(declared) == "integer" and not indexed else None
    words = [t.value for t in tokens if t.kind is T.WORD]
    return TableFacts(
        name,
        kind,
        without_rowid,
        alias,
        stored,
        tuple(c for _, c in key),
        functions,
        asks_for_now(functions, identifiers),
        any(a == "ON" and b == "CONFLICT" for a, b in pairwise(words)),
        triggers,
        any(COUNTER_FUNCTIONS & mentions(tokenize(text))[0] for text in triggers),
    )


def _actions(conn: sqlite3.Connection, child: str) -> Iterator[ForeignKeyAction]:
    for row in ask(conn, f"PRAGMA main.foreign_key_list({quote(child)})"):
        if row[5] in ("CASCADE", "SET NULL", "SET DEFAULT") or row[6] in ("CASCADE", "SET NULL", "SET DEFAULT"):
            yield ForeignKeyAction(fold(child), fold(row[2]))
