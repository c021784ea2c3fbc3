"""How a write is carried: replayed as a statement, as row images, or as "not known".

Replay is for what SQLite and PostgreSQL must do alike, given the row ids and the time that SQLite chose. Everything
whose effect depends on more is captured row by row; where nothing can be captured the table is marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .classify import COUNTER_FUNCTIONS, RANDOM_FUNCTIONS, Rows, Statement
from .facts import FileFacts, TableFacts

_UNTOLD = RANDOM_FUNCTIONS | COUNTER_FUNCTIONS


class How(Enum):
    REPLAY = "replay"
    IMAGES = "images"
    UNKNOWN = "unknown"


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
    return Plan(
        How.REPLAY,
        (statement.name,),
        now=statement.uses_now or table.uses_now,
        rowid=statement.verb == "INSERT" and not table.without_rowid,
    )


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
