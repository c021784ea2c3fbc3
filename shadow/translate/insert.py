"""INSERT and its conflict clauses.

OR REPLACE deletes every row that conflicts on any unique key, then inserts a new one: a new id, omitted columns back to
their defaults. Rows of one VALUES behave one after the other, so each becomes its own pair of steps. OR IGNORE also
skips rows that NOT NULL or CHECK refuses.
"""

from __future__ import annotations

from itertools import chain

from .assign import stored
from .catalog import Table
from .compiler import Compiler, Refusal, walk
from .conflict import conflict_clause, conflicting, row_tests
from .ctes import with_clause
from .names import ident, qualified
from .rules.values import rowid_parameter
from .scope import Out, Scope
from .select import compile_query
from .sources import derived
from .syntax import Exists, Expr, In, Insert, Query, Scalar, Values
from .target import ROWID, Target, called, check_width, note_defaults, target_of
from .translation import Purpose
from .typed import Cls, E
from .written import Written, refuse_declared_conflict, returning, written_table


def insert(c: Compiler, node: Insert) -> Written:
    """The steps of an INSERT."""
    table = written_table(c, node)
    target = target_of(c, node, table)
    if node.conflict == "ABORT":
        refuse_declared_conflict(table, node)
    note_defaults(c, target)
    scope = Scope()
    prefix = with_clause(c, node.ctes, node.recursive, scope)
    try:
        return _insert(c, node, target, scope, prefix or "")
    finally:
        if prefix is not None:
            c.ctes.pop()


def _insert(c: Compiler, node: Insert, target: Target, scope: Scope, prefix: str) -> Written:
    if node.query is None:
        return _from_values(c, node, target, scope, prefix, [[]])
    body = node.query.body
    plain = not (node.query.order or node.query.limit or node.query.offset or node.query.ctes)
    if node.conflict == "REPLACE" and isinstance(body, Values) and any(map(_has_query, chain(*body.rows))):
        plain = False  # what a query in the values reads must not be gone before it is read
        if len(body.rows) > 1:
            raise Refusal("OR REPLACE of several rows with queries in their values", node)
    if isinstance(body, Values) and plain:
        for row in body.rows:
            check_width(target, len(row), node)
        return _from_values(c, node, target, scope, prefix, body.rows)
    return _from_query(c, node, target, scope, prefix)


def _has_query(expr: Expr) -> bool:
    return any(
        isinstance(n, (Scalar, Exists)) or (isinstance(n, In) and isinstance(n.items, Query)) for n in walk(expr)
    )


def _from_values(
    c: Compiler, node: Insert, target: Target, scope: Scope, prefix: str, rows: list[list[Expr]]
) -> Written:
    names, texts, values = _rows(c, node, target, scope, rows)
    done = Written(target.table)
    tail, done.rowid_appended, done.returns_rows = _tail(c, node, target)
    conflict, counted_alone = conflict_clause(c, node, target)
    head = f"{prefix} " if prefix else ""
    into = f"{head}INSERT INTO {target.name}" + (f" AS {ident(called(node))}" if node.upserts else "")
    listed = f" ({', '.join(names)})" if names else ""
    if node.conflict == "REPLACE":
        if len(rows) > 1 and node.returning:
            raise Refusal("INSERT OR REPLACE of several rows with RETURNING", node)
        c.used("insert-or-replace")
        for text, row in zip(texts, values, strict=True):
            gone = conflicting(c, node, target, scope, row)
            if gone:
                done.add(f"{head}DELETE FROM {target.name} WHERE {gone}", counted=False)
            done.add(f"{into}{listed} {_values_text(names, [text])}{tail}")
        return done
    if node.conflict == "IGNORE":
        return _ignoring(c, node, target, scope, done, into, listed, names, texts, values, tail)
    if counted_alone and len(rows) > 1 and not node.returning:
        # PostgreSQL refuses to touch a row twice in one statement and uses up an id for a row it skips.
        for text in texts:
            done.add(f"{into}{listed} {_values_text(names, [text])}{conflict}{tail}")
        return done
    done.add(f"{into}{listed} {_values_text(names, texts)}{conflict}{tail}")
    return done


def _values_text(names: list[str], rows: list[list[str]]) -> str:
    if not names:
        return "DEFAULT VALUES"
    return "VALUES " + ", ".join(f"({', '.join(row)})" for row in rows)


def _rows(
    c: Compiler, node: Insert, target: Target, scope: Scope, rows: list[list[Expr]]
) -> tuple[list[str], list[list[str]], list[list[E]]]:
    """Column names, the text of each row, and its values."""
    names = [ident(col.name) for col in target.columns]
    values = [[c.expr(expr, scope) for expr in row] for row in rows]
    texts = [[stored(c, e, col, node) for e, col in zip(row, target.columns, strict=True)] for row in values]
    rowid = target.table.rowid_column
    if rowid is None:
        return names, texts, values
    at = target.rowid_at
    chosen = [at is not None and row[at].cls is not Cls.NULL for row in values]
    if c.purpose is Purpose.APPLY:
        if all(chosen):
            return names, texts, values
        if len(rows) > 1:
            raise Refusal("several rows without ids: the ids SQLite chose come as row images", node)
        if at is None:
            return [*names, ident(rowid)], [[*texts[0], _chosen_id(node)]], values
        texts[0][at] = _chosen_id(node)
        return names, texts, values
    if at is not None:
        for text, row, given in zip(texts, values, chosen, strict=True):
            if not given:
                text[at] = "DEFAULT"
            elif row[at].nullable and not row[at].is_const:
                text[at] = f"COALESCE({text[at]}, {_next_id(c, target.table)})"
    return names, texts, values


def _chosen_id(node: Insert) -> str:
    """The row id SQLite chose: none for a row that only met a conflict, but the place must be filled all the same."""
    e = rowid_parameter()
    return f"COALESCE({e.sql}, 0)" if node.upserts or node.conflict == "IGNORE" else e.loose


def _next_id(c: Compiler, table: Table) -> str:
    from .typed import text_literal

    relation = text_literal(qualified(c.catalog.pg_schema, table.name))
    from .catalog import pg_name

    return f"nextval(pg_get_serial_sequence({relation}, {text_literal(pg_name(table.rowid_column or ''))}))"


def _tail(c: Compiler, node: Insert, target: Target) -> tuple[str, bool, bool]:
    """RETURNING: the app's columns, and for Purpose.APP the row id at the end."""
    items = returning(c, node, target.table, ident(target.table.name) if not node.upserts else ident(called(node)))
    appended = c.purpose is Purpose.APP and target.table.rowid_column is not None
    prefix = ident(called(node)) if node.upserts else ident(target.table.name)
    if appended:
        items = [*items, f"{prefix}.{ident(target.table.rowid_column or '')}"]
    return (f" RETURNING {', '.join(items)}" if items else ""), appended, bool(node.returning)


def _ignoring(
    c: Compiler, node: Insert, target: Target, scope: Scope, done: Written, into: str, listed: str,
    names: list[str], texts: list[list[str]], values: list[list[E]], tail: str,
) -> Written:  # fmt: skip
    c.used("insert-or-ignore")
    conflict = " ON CONFLICT DO NOTHING"
    tests = [row_tests(c, node, target, row) for row in values]
    if not any(tests):
        for rows in [texts] if node.returning else [[text] for text in texts]:
            done.add(f"{into}{listed} {_values_text(names, rows)}{conflict}{tail}")
        return done
    if len(texts) > 1 and node.returning:
        raise Refusal("OR IGNORE of several rows with RETURNING where a constraint may refuse one", node)
    for text, test in zip(texts, tests, strict=True):
        if not names:
            raise Refusal("OR IGNORE with DEFAULT VALUES where a constraint may refuse them", node)
        if "DEFAULT" in text:
            at = text.index("DEFAULT")
            kept = [(n, t) for i, (n, t) in enumerate(zip(names, text, strict=True)) if i != at]
        else:
            kept = list(zip(names, text, strict=True))
        where = f" WHERE {' AND '.join(test)}" if test else ""
        cols = ", ".join(n for n, _ in kept)
        typed = ", ".join(_cast_for(target, n, t) for n, t in kept)
        done.add(f"{into} ({cols}) SELECT {typed}{where}{conflict}{tail}")
    return done


def _cast_for(target: Target, name: str, text: str) -> str:
    """A value in a SELECT list has no column to take its type from."""
    for column in (*target.columns, ROWID):
        if ident(column.name) == name:
            return f"({text})::{column.pg_type.value}"
    return text


def _from_query(c: Compiler, node: Insert, target: Target, scope: Scope, prefix: str) -> Written:
    assert node.query is not None
    names = [f"c{i}" for i in range(1, len(target.columns) + 1)]
    rel = compile_query(c, node.query, Scope(parent=scope), named=True, ordered=True)
    check_width(target, len(rel.columns), node)
    inner = [Out(n, derived(o.e, f"s.{n}")) for n, o in zip(names, rel.columns, strict=True)]
    texts = []
    for out, col, source in zip(inner, target.columns, rel.columns, strict=True):
        text = "NULL" if source.e.cls is Cls.NULL else stored(c, out.e, col, node)
        texts.append(f"({text})::{col.pg_type.value}" if text == "NULL" else text)
    columns = [ident(col.name) for col in target.columns]
    at = target.rowid_at
    if target.table.rowid_column is not None:
        if c.purpose is Purpose.APPLY and (at is None or inner[at].e.nullable):
            if not (isinstance(node.query.body, Values) and len(node.query.body.rows) == 1):
                raise Refusal("ids of INSERT ... SELECT are SQLite's choice: they come as row images", node)
            if at is None:
                columns.append(ident(target.table.rowid_column))
                texts.append(_chosen_id(node))
            else:
                texts[at] = _chosen_id(node)
        elif at is not None and inner[at].e.nullable:
            texts[at] = f"COALESCE({texts[at]}, {_next_id(c, target.table)})"
    source_sql = f"({rel.sql}) AS s({', '.join(names)})"
    done = Written(target.table)
    tail, done.rowid_appended, done.returns_rows = _tail(c, node, target)
    conflict, _ = conflict_clause(c, node, target)
    into = f"INSERT INTO {target.name}" + (f" AS {ident(called(node))}" if node.upserts else "")
    listed = f" ({', '.join(columns)})"
    head = f"{prefix} " if prefix else ""
    if node.conflict == "REPLACE":
        return _replace_from_query(c, node, target, done, prefix, into, listed, rel.sql, names, texts, inner, tail)
    where = ""
    if node.conflict == "IGNORE":
        c.used("insert-or-ignore")
        tests = row_tests(c, node, target, [out.e for out in inner])
        where = f" WHERE {' AND '.join(tests)}" if tests else ""
        conflict = " ON CONFLICT DO NOTHING"
    done.add(f"{head}{into}{listed} SELECT {', '.join(texts)} FROM {source_sql}{where}{conflict}{tail}")
    return done


def _replace_from_query(
    c: Compiler, node: Insert, target: Target, done: Written, prefix: str, into: str, listed: str, query: str,
    names: list[str], texts: list[str], inner: list[Out], tail: str,
) -> Written:  # fmt: skip
    """One statement: the rows are read once, what they conflict with goes first."""
    c.used("insert-or-replace")
    gone = conflicting(c, node, target, Scope(), [out.e for out in inner])
    ctes = f"s({', '.join(names)}) AS MATERIALIZED ({query})"
    where = ""
    if gone:
        ctes += f", gone AS (DELETE FROM {target.name} USING s WHERE {gone} RETURNING 1)"
        where = " WHERE (SELECT count(*) FROM gone) IS NOT NULL"
    head = f"{prefix}, " if prefix else "WITH "
    done.add(f"{head}{ctes} {into}{listed} SELECT {', '.join(texts)} FROM s{where}{tail}")
    return done
