"""What to do with one text and one shape of parameters in PostgreSQL mode: made once, looked up afterwards.

SQLite itself, the replica, compiles and binds the statement first: errors for bad SQL, missing names and wrong
parameters are its own. Then the translator gives PostgreSQL's text.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from ..adapt import Params
from ..classify import Kind, Rows, Statement, classify, fold
from ..plain import plain_connect
from ..tokens import T, tokenize
from .params import Shape

if TYPE_CHECKING:
    from ...schema import Replica
    from ...translate import Translation
    from ...translate.catalog import Table
    from .schema import SchemaState


class Way(Enum):
    """Who answers a statement."""

    READ = "read"  # PostgreSQL, no write entry
    WRITE = "write"  # PostgreSQL, under the fence
    REPLICA = "replica"  # the app's schema in SQLite: sqlite_master, pragma functions, EXPLAIN
    CONTROL = "control"  # BEGIN, COMMIT, SAVEPOINT ...
    PRAGMA = "pragma"
    DDL = "ddl"
    NOTHING = "nothing"  # VACUUM, ANALYZE, REINDEX, an empty text


@dataclass(slots=True)
class Plan:
    """How one text with one shape of parameters runs."""

    sql: str
    way: Way
    statement: Statement
    translation: Translation | None = None
    #: Names of the result columns as SQLite gives them; None: no rows.
    columns: tuple[str, ...] | None = None
    #: Whether PostgreSQL's parser has taken the text before: only then may it share a string with a savepoint.
    parsed: bool = False
    #: Gives many rows, so the server keeps them; None: not known yet.
    big: bool | None = None
    #: Rows of an insert that are sure without counting: it has one VALUES row and no way to skip it.
    one_row: bool = False
    #: Strings to send, one round trip each: steps whose count does not matter share the next one's.
    groups: tuple[tuple[int, ...], ...] = ((0,),)
    #: Tables whose next row id SQLite would compute as max + 1 (inserts; used in serial mode).
    inserts_into: tuple[Table, ...] = ()
    #: AUTOINCREMENT tables that may lose their highest row (used in serial mode).
    shrinks: tuple[Table, ...] = ()
    #: AUTOINCREMENT tables of which a run that inserts nothing uses up an id (used in serial mode).
    burns: tuple[Table, ...] = ()
    #: Tables in which one INSERT of several rows may leave gaps that SQLite would not (used in serial mode).
    gaps: tuple[Table, ...] = ()
    #: What knows the declared types of the columns, and the types once they were asked for (`types`).
    replica: Replica | None = field(default=None, repr=False)
    declared: tuple[str, ...] | None = None
    #: The cursor that sqlite3.Row needs; made when first asked for.
    primed: sqlite3.Cursor | None = field(default=None, repr=False)

    def primed_cursor(self) -> sqlite3.Cursor:
        """A cursor of SQLite's own with this result's column names: sqlite3.Row takes its keys from there."""
        if self.primed is None:
            self.primed = primed_cursor(self.columns or ())
        return self.primed


def make_plan(state: SchemaState, sql: str, params: Params, shape: Shape | None) -> Plan:
    """Raises sqlite3's own errors for what SQLite would refuse, `NotSupportedError` for what has no faithful form."""
    statement = classify(sql)
    way = _WAYS.get(statement.kind)
    if way is Way.PRAGMA or way is Way.DDL or way is Way.CONTROL:
        return Plan(sql, way, statement)
    _compile(state, sql, params)
    if way is not None:
        return Plan(sql, way, statement)
    if statement.schema == "temp" or statement.temporary:
        raise not_supported("temporary tables have no counterpart in PostgreSQL mode")
    return _translated(state, sql, params, shape, statement)


def not_supported(reason: str) -> sqlite3.NotSupportedError:
    return sqlite3.NotSupportedError(f"not possible while PostgreSQL is primary: {reason}")


_WAYS = {
    Kind.BEGIN: Way.CONTROL,
    Kind.COMMIT: Way.CONTROL,
    Kind.ROLLBACK: Way.CONTROL,
    Kind.SAVEPOINT: Way.CONTROL,
    Kind.RELEASE: Way.CONTROL,
    Kind.ROLLBACK_TO: Way.CONTROL,
    Kind.PRAGMA: Way.PRAGMA,
    Kind.DDL: Way.DDL,
    Kind.EXPLAIN: Way.REPLICA,
    Kind.VACUUM: Way.NOTHING,
    Kind.OTHER: Way.NOTHING,
    Kind.EMPTY: Way.NOTHING,
}


def _compile(state: SchemaState, sql: str, params: Params) -> None:
    """Let SQLite compile and bind the statement without running it."""
    statement = classify(sql)
    if statement.kind is Kind.ATTACH:
        raise not_supported("ATTACH and DETACH; open another connection instead")
    if statement.kind is Kind.EMPTY:
        return
    if statement.kind is Kind.EXPLAIN:
        state.replica.execute(sql, params)
    else:
        state.replica.check(sql, params)


def _translated(state: SchemaState, sql: str, params: Params, shape: Shape | None, statement: Statement) -> Plan:
    from ...translate import translate

    if shape is None:  # SQLite has taken what we could not adapt: names and places mixed
        raise not_supported("these parameters; bind all by name or all by place")
    types = {name: type(value) for name, value in params.items()} if isinstance(params, dict) else shape
    translation = translate(sql, state.catalog, param_types=types)
    columns = state.replica.describe(sql)
    if translation.catalog_only:
        if "PRAGMA_FOREIGN_KEY_CHECK" in sql.upper():
            raise not_supported("pragma_foreign_key_check() in a SELECT; PRAGMA foreign_key_check is answered")
        return Plan(sql, Way.REPLICA, statement, translation, columns)
    if translation.unsupported is not None:
        raise not_supported(translation.unsupported.reason)
    if statement.kind is Kind.READ:
        few = not translation.reads or "LIMIT" in _words(statement)
        return Plan(sql, Way.READ, statement, translation, columns, big=False if few else None, replica=state.replica)
    targets = [t for t in (state.catalog.table(name) for name in sorted(translation.writes)) if t is not None]
    inserts = statement.verb in ("INSERT", "REPLACE")
    skips = statement.or_action == "IGNORE" or "ON" in _words(statement)
    return Plan(
        sql,
        Way.WRITE,
        statement,
        translation,
        columns,
        groups=_groups(translation),
        one_row=inserts
        and statement.rows is Rows.ONE
        and statement.or_action in ("", "ABORT", "FAIL", "ROLLBACK")
        and not statement.returning
        and len(translation.steps) == 1
        and translation.rowid_appended
        and not skips,
        inserts_into=tuple(t for t in targets if inserts and t.rowid_column is not None),
        shrinks=tuple(t for t in targets if t.autoincrement and (not inserts or statement.or_action == "REPLACE")),
        burns=tuple(t for t in targets if t.autoincrement and inserts and skips),
        gaps=tuple(t for t in targets if inserts and skips and _leaves_gaps(statement, translation, t)),
        replica=state.replica if columns is not None else None,
    )


def _leaves_gaps(statement: Statement, translation: Translation, table: Table) -> bool:
    """Whether PostgreSQL chooses the ids of several rows in one go, and SQLite would choose max + 1 for each."""
    if table.autoincrement or table.rowid_column is None or statement.rows is Rows.ONE or len(translation.steps) > 1:
        return False
    if statement.returning:
        return False  # the app has the ids already
    tokens = tokenize(statement.sql)
    start = next(i for i, t in enumerate(tokens) if t.kind is T.WORD and t.value == "INTO")
    words = [t for t in tokens[start:] if t.kind in (T.WORD, T.QUOTED, T.STRING) or t.value in ("(", ")")]
    opening = next((i for i, t in enumerate(words) if t.value in ("(", "VALUES", "SELECT", "WITH")), len(words))
    if opening == len(words) or words[opening].value != "(":
        return table.rowid_alias is None  # every column is given
    closing = next(i for i, t in enumerate(words) if i > opening and t.value == ")")
    listed = {fold(t.value) for t in words[opening + 1 : closing]}
    return not listed & {fold(table.rowid_alias or ""), "rowid", "oid", "_rowid_"}


def _groups(translation: Translation) -> tuple[tuple[int, ...], ...]:
    """Places of the steps, divided behind each one that is counted; the last group gives rows."""
    groups: list[tuple[int, ...]] = []
    current: list[int] = []
    for place, step in enumerate(translation.steps):
        current.append(place)
        if step.counted and place < len(translation.steps) - 1:
            groups.append(tuple(current))
            current = []
    return (*groups, tuple(current))


def _words(statement: Statement) -> set[str]:
    return {t.value for t in tokenize(statement.sql) if t.kind is T.WORD}


_primer_lock = threading.Lock()  # guards the connection below
_primer: sqlite3.Connection | None = None


def primed_cursor(names: tuple[str, ...]) -> sqlite3.Cursor:
    """A plain sqlite3 cursor whose description has these names and that will never give a row."""
    global _primer
    with _primer_lock:
        if _primer is None:
            _primer = plain_connect(":memory:", check_same_thread=False)
        columns = ", ".join('NULL AS "' + name.replace('"', '""') + '"' for name in names) or "NULL"
        return _primer.execute(f"SELECT {columns} WHERE 0")
