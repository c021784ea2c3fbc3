"""UPDATE and DELETE."""

from __future__ import annotations

from .catalog import fold
from .compiler import Compiler, Refusal
from .ctes import with_clause
from .names import ident, qualified
from .scope import Scope, table_source
from .select import compile_query
from .sources import compile_source
from .syntax import Column, Core, Delete, Item, Query, Update
from .typed import condition
from .update_conflict import ignoring, replaced, with_defaults
from .written import Written, assignments, refuse_declared_conflict, returning, written_table


def update(c: Compiler, node: Update) -> Written:
    table = written_table(c, node)
    if node.conflict == "ROLLBACK":
        raise Refusal("OR ROLLBACK ends the transaction", node)
    if node.conflict in ("IGNORE", "REPLACE") and (node.source is not None or node.limit is not None or node.ctes):
        raise Refusal(f"UPDATE OR {node.conflict} with FROM, WITH or LIMIT", node)
    if node.conflict == "FAIL":
        c.warn("OR FAIL keeps the rows changed before the error in SQLite; PostgreSQL keeps none")
    if node.conflict == "ABORT":
        refuse_declared_conflict(table, node)
    if (node.limit is not None or node.order) and (node.source is not None or node.ctes):
        raise Refusal("UPDATE FROM with LIMIT", node)
    called = node.table.alias or node.table.name
    scope = Scope(sources=[table_source(table, called)])
    prefix = with_clause(c, node.ctes, node.recursive, Scope())
    try:
        source = ""
        if node.source is not None:
            found = compile_source(c, node.source, scope)
            scope.sources.extend(s for s in found.sources if not any(s is t for t in scope.sources))
            source = f" FROM {found.sql}"
        where = _where(c, node, scope)
        gone = ""
        if node.conflict == "IGNORE":
            for test in ignoring(c, node, table, scope):
                where = f"{where} AND ({test})" if where else f" WHERE ({test})"
        elif node.conflict == "REPLACE":
            node.sets = with_defaults(node, table)
            gone = replaced(c, node, table, scope)
        sets = assignments(c, node.sets, table, scope, node)
        items = returning(c, node, table, ident(called))
    finally:
        if prefix is not None:
            c.ctes.pop()
    alias = f" AS {ident(called)}" if fold(called) != fold(table.name) or called != table.name else ""
    head = f"{prefix} " if prefix else ""
    done = Written(table, returns_rows=bool(items))
    tail = f" RETURNING {', '.join(items)}" if items else ""
    target = qualified(c.catalog.pg_schema, table.name)
    if gone:
        done.add(gone, counted=False)
    done.add(f"{head}UPDATE {target}{alias} SET {', '.join(sets)}{source}{where}{tail}")
    return done


def _where(c: Compiler, node: Update | Delete, scope: Scope) -> str:
    """WHERE; with LIMIT the rows are chosen by a query first."""
    if node.limit is None:
        if node.where is None:
            return ""
        text = condition(c.expr(node.where, scope))
        return f" WHERE ({text})" if isinstance(node, Update) and node.conflict == "IGNORE" else f" WHERE {text}"
    rowid = scope.sources[0].rowid
    if rowid is None:
        raise Refusal("LIMIT on a table WITHOUT ROWID", node)
    c.nondeterministic.add("limit")
    chosen = Core([Item(Column(None, "rowid"), None, "rowid")], source=node.table, where=node.where)
    rel = compile_query(c, Query(chosen, order=node.order, limit=node.limit), Scope())
    return f" WHERE {rowid.sql} IN ({rel.sql})"


def delete(c: Compiler, node: Delete) -> Written:
    table = written_table(c, node)
    called = node.table.alias or node.table.name
    scope = Scope(sources=[table_source(table, called)])
    prefix = with_clause(c, node.ctes, node.recursive, Scope())
    try:
        where = _where(c, node, scope)
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
