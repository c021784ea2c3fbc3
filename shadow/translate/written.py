"""What INSERT, UPDATE and DELETE share: the table, SET lists, RETURNING, the finished steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from .assign import stored
from .catalog import Table, fold
from .compiler import Compiler, Refusal
from .lexer import T, lex
from .names import ident
from .scope import ROWID_NAMES, Scope, table_source
from .select import compile_query
from .syntax import Expr, Node, Row, Scalar, Star, Write
from .typed import Cls


@dataclass(slots=True)
class Written:
    """The steps of a write, still with marks for parameters."""

    table: Table
    steps: list[tuple[str, bool]] = field(default_factory=list)
    rowid_appended: bool = False
    returns_rows: bool = False

    def add(self, sql: str, *, counted: bool = True) -> None:
        self.steps.append((sql, counted))


def written_table(c: Compiler, node: Write) -> Table:
    ref = node.table
    if ref.schema is not None and fold(ref.schema) != "main":
        raise Refusal(f"database {ref.schema} is not shadowed", ref)
    if fold(ref.name) in c.catalog.views:
        raise Refusal(f"{ref.name} is a view; INSTEAD OF triggers do not run in PostgreSQL", ref)
    table = c.table(ref.name, ref)
    c.writes.add(fold(table.name))
    triggers = [t.name for t in c.catalog.triggers.values() if fold(t.table) == fold(table.name)]
    if triggers and c.purpose.value == "app":
        raise Refusal(f"trigger {triggers[0]} on {table.name} does not run in PostgreSQL", ref)
    return table


def refuse_declared_conflict(table: Table, node: Node) -> None:
    """A constraint declared with ON CONFLICT REPLACE, IGNORE ... acts without being asked."""
    action = _declared_conflict(table.sql)
    if action:
        raise Refusal(f"a constraint of {table.name} is declared ON CONFLICT {action}", node)


@lru_cache(maxsize=1024)
def _declared_conflict(sql: str) -> str:
    """The action of a constraint in a CREATE TABLE that has one besides ABORT, or ''."""
    words = [t.text if t.kind is T.WORD else "" for t in lex(sql).tokens]
    for first, second, action in zip(words, words[1:], words[2:], strict=False):
        if (first, second) == ("ON", "CONFLICT") and action != "ABORT":
            return action
    return ""


def returning(c: Compiler, node: Write, table: Table, qualifier: str) -> list[str]:
    """RETURNING's columns; `*` without the hidden row id."""
    scope = Scope(sources=[table_source(table, node.table.alias or node.table.name, qualifier=qualifier)])
    texts: list[str] = []
    for item in node.returning:
        if isinstance(item.expr, Star):
            texts.extend(out.e.sql for out in scope.sources[0].columns)
            continue
        e = c.expr(item.expr, scope)
        text = "NULL" if e.cls is Cls.NULL else e.sql
        texts.append(text + (f" AS {ident(item.alias)}" if item.alias else ""))
    return texts


def assignments(c: Compiler, sets: list[tuple[list[str], Expr]], table: Table, scope: Scope, node: Node) -> list[str]:
    """SET's parts; of a column named twice the last one counts, as in SQLite."""
    found: dict[str, str] = {}
    for names, expr in sets:
        for name, text in _parts(c, names, expr, table, scope, node):
            found.pop(name, None)
            found[name] = text
    return [f"{name} = {text}" for name, text in found.items()]


def _parts(c: Compiler, names: list[str], expr: Expr, table: Table, scope: Scope, node: Node) -> list[tuple[str, str]]:
    if len(names) == 1:
        return [_one(c, names[0], expr, table, scope, node)]
    if isinstance(expr, Row):
        if len(expr.items) != len(names):
            raise Refusal(f"{len(names)} columns assigned {len(expr.items)} values", expr)
        return [_one(c, n, e, table, scope, node) for n, e in zip(names, expr.items, strict=True)]
    if isinstance(expr, Scalar):
        return _row_query(c, names, expr, table, scope, node)
    raise Refusal("a row value is assigned from something else than a row or a query", expr)


def _one(c: Compiler, name: str, expr: Expr, table: Table, scope: Scope, node: Node) -> tuple[str, str]:
    column = table.column(name)
    if column is None:
        if fold(name) in ROWID_NAMES and table.rowid_column is not None:
            from .rules.arithmetic import integer

            return ident(table.rowid_column), integer(c.expr(expr, scope)).loose
        raise Refusal(f"no such column: {name}", expr)
    if column.generated is not None:
        raise Refusal(f"cannot UPDATE generated column {name}", expr)
    return ident(column.name), stored(c, c.expr(expr, scope), column, expr)


def _row_query(
    c: Compiler, names: list[str], expr: Scalar, table: Table, scope: Scope, node: Node
) -> list[tuple[str, str]]:
    """(a, b) = (SELECT ...): one query for each column, which reads the same row."""
    from dataclasses import replace

    found = []
    for i, name in enumerate(names):
        rel = compile_query(c, expr.query, Scope(parent=scope), named=True, first_row_only=True)
        if len(rel.columns) != len(names):
            raise Refusal(f"{len(names)} columns assigned {len(rel.columns)} values", expr)
        column = table.column(name)
        if column is None:
            raise Refusal(f"no such column: {name}", expr)
        out = rel.columns[i]
        listed = ", ".join(f"c{j}" for j in range(1, len(names) + 1))
        text = f"(SELECT q.c{i + 1} FROM ({rel.sql}) AS q({listed}))"
        e = replace(out.e, sql=text, bare=None, atom=True, plain=False, nullable=True, param=0)
        found.append((ident(column.name), stored(c, e, column, node)))
    return found
