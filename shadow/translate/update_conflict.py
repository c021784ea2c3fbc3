"""UPDATE OR IGNORE and UPDATE OR REPLACE, where one statement can say what SQLite does row by row.

SQLite checks each row against those changed before it. That is the same as checking all against the table as it was
only if no changed row meets another one: one row is named by its key, no unique key is touched, or all rows get the
same constant (then PostgreSQL refuses the second one loudly). Everything else is refused.
"""

from __future__ import annotations

from dataclasses import replace

from .assign import stored as stored_value
from .catalog import Table, fold
from .compiler import Compiler, Refusal
from .lexer import LexError
from .names import ident, qualified
from .parser import ParseError, parse_expression
from .rowimage import unique_keys
from .rules import comparison
from .scope import ROWID_NAMES, Out, Scope, Src, table_source
from .syntax import Binary, Column, Expr, Literal, Param, Update
from .typed import CLS_OF, E, condition

_OTHER = "_shadow_other"


def ignoring(c: Compiler, node: Update, table: Table, scope: Scope) -> list[str]:
    """Conditions that keep UPDATE OR IGNORE from the rows it would leave alone."""
    c.used("update-or-ignore")
    new = _after(c, node, table, scope)
    tests = []
    touched = _touched(node)
    for column in table.stored_columns:
        if column.not_null and fold(column.name) in touched:
            tests.append(condition(comparison.null_test(new.by_name[fold(column.name)].e, True)))
    seen = Scope(sources=[new])
    for text, _ in table.checks:
        tests.append(f"({condition(c.expr(_parsed(text), seen))}) IS NOT FALSE")
    clash = _clash(c, node, table, scope, new)
    if clash:
        target = qualified(c.catalog.pg_schema, table.name)
        tests.append(f"NOT EXISTS (SELECT 1 FROM {target} AS {_OTHER} WHERE {clash})")
    return tests


def replaced(c: Compiler, node: Update, table: Table, scope: Scope) -> str:
    """The DELETE of the rows that UPDATE OR REPLACE puts out of the way; '' if there can be none."""
    c.used("update-or-replace")
    clash = _clash(c, node, table, scope, _after(c, node, table, scope))
    if not clash:
        return ""
    where = f"({condition(c.expr(node.where, scope))}) AND " if node.where is not None else ""
    target = qualified(c.catalog.pg_schema, table.name)
    called = scope.sources[0].alias
    return f"DELETE FROM {target} AS {_OTHER} USING {target} AS {called} WHERE {where}{clash}"


def with_defaults(node: Update, table: Table) -> list[tuple[list[str], Expr]]:
    """SET under OR REPLACE: NULL for a NOT NULL column becomes its default."""
    from .syntax import Call

    sets: list[tuple[list[str], Expr]] = []
    for names, expr in node.sets:
        column = table.column(names[0]) if len(names) == 1 else None
        if column is not None and column.not_null and column.default is not None:
            expr = Call("coalesce", [expr, _parsed(column.default)], start=expr.start, end=expr.end)
        sets.append((names, expr))
    return sets


def _touched(node: Update) -> set[str]:
    return {fold(name) for names, _ in node.sets for name in names}


def _after(c: Compiler, node: Update, table: Table, scope: Scope) -> Src:
    """The row as it will be, as a source."""
    changed: dict[str, E] = {}
    for names, expr in node.sets:
        if len(names) != 1:
            raise Refusal(f"UPDATE OR {node.conflict} with a row value", node)
        column = table.column(names[0])
        if column is None:
            raise Refusal(f"UPDATE OR {node.conflict} of {names[0]}", node)
        text = stored_value(c, c.expr(expr, scope), column, expr)
        cls = CLS_OF[column.pg_type]
        sql = f"({text})::{column.pg_type.value}"
        changed[fold(column.name)] = E(sql, cls, column.affinity.value, column.collation)
    before = scope.sources[0]
    outs = [Out(o.name, changed.get(fold(o.name), replace(o.e))) for o in before.columns]
    return Src(before.name, outs, before.rowid, table, before.alias)


def _clash(c: Compiler, node: Update, table: Table, scope: Scope, new: Src) -> str:
    """The condition under which another row has a key of the changed row; '' if no key is touched."""
    touched = _touched(node)
    for index in table.indexes:
        if index.unique and (index.partial or None in index.columns):
            raise Refusal(f"UPDATE OR {node.conflict} with the partial or expression index {index.name}", node)
    keys = [key for key in unique_keys(table) if touched & {fold(name) for name in key}]
    if not keys:
        return ""
    if not _names_one_row(node.where, table) and not all(
        isinstance(expr, (Literal, Param))
        for names, expr in node.sets
        if fold(names[0]) in {fold(n) for k in keys for n in k}
    ):
        raise Refusal(f"UPDATE OR {node.conflict} of a unique key in several rows", node)
    other = table_source(table, _OTHER)
    tests = []
    for key in keys:
        pairs = [(other.by_name[fold(n)].e, new.by_name[fold(n)].e) for n in key]
        tests.append(" AND ".join(f"({condition(comparison.compare(c, '=', a, b, node))})" for a, b in pairs))
    mine, theirs = scope.sources[0], other
    if mine.rowid is not None and theirs.rowid is not None:
        apart = f"{theirs.rowid.sql} <> {mine.rowid.sql}"
    else:
        parts = [f"{_OTHER}.{ident(n)} <> {mine.alias}.{ident(n)}" for n in table.key]
        apart = f"({' OR '.join(parts)})"
    return f"{apart} AND ({' OR '.join(f'({t})' for t in tests)})"


def _names_one_row(where: Expr | None, table: Table) -> bool:
    """Is the row id (or the whole key) compared with a constant?"""
    named: set[str] = set()
    todo = [where]
    while todo:
        at = todo.pop()
        if isinstance(at, Binary) and at.op == "AND":
            todo += [at.left, at.right]
        elif isinstance(at, Binary) and at.op == "=":
            for a, b in ((at.left, at.right), (at.right, at.left)):
                if isinstance(a, Column) and isinstance(b, (Literal, Param)):
                    named.add(fold(a.name))
    if named & ROWID_NAMES and not table.without_rowid:
        return True
    return any({fold(n) for n in key} <= named for key in unique_keys(table))


def _parsed(text: str) -> Expr:
    try:
        return parse_expression(text)
    except (ParseError, LexError) as error:
        raise Refusal(f"an expression of the schema is not understood: {error}") from None


__all__ = ["ignoring", "replaced", "with_defaults"]
