"""How a write is carried: replayed as a statement, as row images, or as "not known".

Replay is for what SQLite and PostgreSQL must do alike, given the row ids and the time that SQLite chose. Everything
whose effect depends on more is captured row by row; where nothing can be captured the table is marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .classify import COUNTER_FUNCTIONS, RANDOM_FUNCTIONS, Rows, Statement, fold
from .facts import FileFacts, TableFacts, quote
from .tokens import T, Token, tokenize

_UNTOLD = RANDOM_FUNCTIONS | COUNTER_FUNCTIONS


class How(Enum):
    REPLAY = "replay"
    IMAGES = "images"
    UNKNOWN = "unknown"


class Ids(Enum):
    """Where the row id of one set of executemany comes from."""

    NONE = "none"
    #: SQLite's max(rowid) + 1.
    CHOSEN = "chosen"
    #: A parameter.
    BOUND = "bound"
    #: Only `last_insert_rowid()` tells.
    ASK = "ask"


#: A global, because Python 3.11 looks a member up through the enum's class each time.
REPLAY = How.REPLAY


@dataclass(frozen=True, slots=True)
class Plan:
    how: How
    #: Folded names of the tables the statement may change.
    tables: tuple[str, ...]
    reason: str = ""
    #: Needs the frozen time.
    now: bool = False
    #: An INSERT of one row whose row id is carried.
    rowid: bool = False
    #: Has named variables: a sequence bound to them is carried by name.
    named: bool = False
    #: How executemany knows the row id of each set.
    ids: Ids = Ids.NONE
    #: BOUND: which parameter. CHOSEN: the last id given, and the greatest.
    id_at: int = 0
    id_check: str = ""
    #: executemany: a set does its one thing or fails, and parameters are bound by place.
    in_slices: bool = False


def plan_for(statement: Statement, facts: FileFacts, *, foreign_keys: bool) -> Plan:
    """The plan by text and schema alone; kept with the facts."""
    plans = facts.plans[foreign_keys]
    known: Plan | None = plans.get(statement)
    if known is None:
        known = _decide(statement, facts, foreign_keys)
        if len(plans) > 4_000:
            plans.clear()
        plans[statement] = known
    return known


def as_images(statement: Statement, facts: FileFacts, reason: str, *, foreign_keys: bool) -> Plan:
    """The plan when something of the connection makes replay unsafe."""
    tables = facts.closure(statement.name, foreign_keys=foreign_keys)
    if any(facts.tables[t].kind == "virtual" for t in tables):
        return Plan(How.UNKNOWN, tables, reason)
    return Plan(How.IMAGES, tables, reason)


def _decide(statement: Statement, facts: FileFacts, foreign_keys: bool) -> Plan:
    table = facts.tables.get(statement.name)
    if table is None:
        return Plan(How.REPLAY, (statement.name,))  # SQLite will say that there is no such table
    reason = _why_not_replay(statement, table)
    if not reason and foreign_keys and facts.children(statement.name) and _removes_or_moves(statement):
        reason = "foreign key actions"
    if table.kind == "virtual":
        return Plan(How.UNKNOWN, (statement.name,), "virtual table")
    if reason:
        return as_images(statement, facts, reason, foreign_keys=foreign_keys)
    rowid = statement.verb == "INSERT" and not table.without_rowid
    ids, id_at = _ids(statement, table) if rowid else (Ids.NONE, 0)
    return Plan(
        How.REPLAY,
        (statement.name,),
        now=statement.uses_now or table.uses_now,
        rowid=rowid,
        named=bool(statement.variables) and statement.variables[0][:1] not in ("", "?"),
        ids=ids,
        id_at=id_at,
        id_check=_id_check(table) if ids is Ids.CHOSEN else "",
        in_slices=ids is not Ids.ASK and not any(statement.variables),
    )


_ROWID_NAMES = frozenset(("rowid", "_rowid_", "oid"))


def _ids(statement: Statement, table: TableFacts) -> tuple[Ids, int]:
    """For an INSERT of one row, found by its words: INSERT INTO name [(columns)] VALUES (...)."""
    name = table.alias if table.alias is not None else table.rowid_name
    if name is None or statement.or_action not in _ONE_OR_FAIL or "conflict" in statement.identifiers:
        return Ids.ASK, 0
    columns, values = _lists([_marked(t) for t in tokenize(statement.sql)])
    if values is None:
        return Ids.ASK, 0
    stored = [fold(c) for c in table.stored]
    names = stored if columns is None else [fold(c.removeprefix("'")) for c in columns]
    taken = set(stored)
    showing = {fold(name)} | (_ROWID_NAMES - taken)
    if table.alias is None and columns is None:
        return Ids.CHOSEN, 0
    named = [i for i, c in enumerate(names) if c in showing]
    if not named:
        return Ids.CHOSEN, 0
    if len(named) == 1 and len(values) == len(names) and values == ["?"] * len(names):
        return Ids.BOUND, named[0]
    return Ids.ASK, 0


#: OR actions under which a set of one row inserts it, or fails.
_ONE_OR_FAIL = frozenset(("", "ABORT", "FAIL", "ROLLBACK"))


def _marked(token: Token) -> str:
    """The token's word; one in quotes cannot be taken for another token."""
    return token.value if token.kind is not T.QUOTED and token.kind is not T.STRING else "'" + token.value


def _id_check(table: TableFacts) -> str:
    rowid = quote(table.alias) if table.alias is not None else table.rowid_name
    return f"SELECT last_insert_rowid(), max({rowid}) FROM main.{quote(table.name)}"


def _lists(words: list[str]) -> tuple[list[str] | None, list[str] | None]:
    """Columns (None: not given) and values (None: too much for this look) of a plain one-row INSERT."""
    if "VALUES" not in words or "(" not in words:
        return None, None
    at = words.index("VALUES")
    before, behind = words[:at], words[at + 1 :]
    columns: list[str] | None = None
    if "(" in before:
        if before[-1] != ")" or before.count("(") != 1:
            return None, None
        columns = [w for w in before[before.index("(") + 1 : -1] if w != ","]
    if not behind or behind[0] != "(":
        return None, None
    inner = behind[1 : behind.index(")")] if ")" in behind else []
    return columns, [w for w in inner if w != ","]


def _removes_or_moves(statement: Statement) -> bool:
    return statement.verb in ("UPDATE", "DELETE") or statement.or_action == "REPLACE" or statement.upsert_updates


def _why_not_replay(statement: Statement, table: TableFacts) -> str:
    """The first reason, or ''."""
    functions = statement.functions | table.functions if statement.verb != "DELETE" else statement.functions
    if table.triggers:
        return "triggers"
    if _UNTOLD & functions:
        return "functions: " + ", ".join(sorted(_UNTOLD & functions))
    if table.conflict_clause:
        return "on conflict clause of the table"
    if statement.verb == "INSERT":
        if statement.rows is not Rows.ONE:
            return "several rows in one insert"
        return "upsert" if statement.upsert_updates else ""
    if statement.limit:
        return "limit"
    if statement.update_from:
        return "update from"
    if statement.or_action not in ("", "ABORT", "ROLLBACK"):
        return "update or " + statement.or_action.lower()
    return ""
