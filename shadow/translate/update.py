"""UPDATE and DELETE."""

from __future__ import annotations

from .catalog import fold
from .compiler import Compiler, Refusal
from .names import ident, qualified
from .scope import Scope, table_source
from .select import with_clause
from .sources import compile_source
from .syntax import Delete, Update
from .typed import condition
from .written import Written, assignments, returning, written_table


def update(c: Compiler, node: Update) -> Written:
    table = written_table(c, node)
    if node.conflict not in ("ABORT", "FAIL"):
        raise Refusal(f"UPDATE OR {node.conflict}", node)
    if node.conflict == "FAIL":
        c.warn("OR FAIL keeps the rows changed before the error in SQLite; PostgreSQL keeps none")
    if node.limit is not None or node.order:
        raise Refusal("UPDATE with LIMIT", node)
    called = node.table.alias or node.table.name
    scope = Scope(sources=[table_source(table, called)])
    prefix = with_clause(c, node.ctes, node.recursive, Scope())
    try:
        source = ""
        if node.source is not None:
            found = compile_source(c, node.source, scope)
            scope.sources.extend(s for s in found.sources if not any(s is t for t in scope.sources))
            source = f" FROM {found.sql}"
        sets = assignments(c, node.sets, table, scope, node)
        where = f" WHERE {condition(c.expr(node.where, scope))}" if node.where is not None else ""
        items = returning(c, node, table, ident(called))
    finally:
        if prefix is not None:
            c.ctes.pop()
    alias = f" AS {ident(called)}" if fold(called) != fold(table.name) or called != table.name else ""
    head = f"{prefix} " if prefix else ""
    done = Written(table, returns_rows=bool(items))
    tail = f" RETURNING {', '.join(items)}" if items else ""
    target = qualified(c.catalog.pg_schema, table.name)
    done.add(f"{head}UPDATE {target}{alias} SET {', '.join(sets)}{source}{where}{tail}")
    return done


def delete(c: Compiler, node: Delete) -> Written:
    table = written_table(c, node)
    if node.limit is not None or node.order:
        raise Refusal("DELETE with LIMIT", node)
    called = node.table.alias or node.table.name
    scope = Scope(sources=[table_source(table, called)])
    prefix = with_clause(c, node.ctes, node.recursive, Scope())
    try:
        where = f" WHERE {condition(c.expr(node.where, scope))}" if node.where is not None else ""
        items = returning(c, node, table, ident(called))
    finally:
        if prefix is not None:
            c.ctes.pop()
    alias = f" AS {ident(called)}" if called != table.name else ""
    head = f"{prefix} " if prefix else ""
    done = Written(table, returns_rows=bool(items))
    tail = f" RETURNING {', '.join(items)}" if items else ""
    target = qualified(c.catalog.pg_schema, table.name)
    done.add(f"{head}DELETE FROM {target}{alias}{where}{tail}")
    return done
