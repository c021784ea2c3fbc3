"""INSERT and its conflict clauses.

OR REPLACE deletes every row that conflicts on any unique key, then inserts a new one: a new id, omitted columns back to
their defaults. Rows of one VALUES behave one after the other, so each becomes its own pair of steps. OR IGNORE also
skips rows that NOT NULL or CHECK refuses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

from .assign import stored
from .catalog import ROWID_COLUMN, Affinity, Column, PgType, Table, fold
from .compiler import Compiler, Refusal, walk
from .lexer import LexError, T, lex
from .names import ident, qualified
from .parser import ParseError, Parser, parse_expression
from .rowimage import unique_keys
from .rules import comparison
from .rules.values import rowid_parameter
from .scope import ROWID_NAMES, Out, Scope, Src, table_source
from .select import compile_query, with_clause
from .sources import derived
from .syntax import Exists, Expr, In, Insert, Node, Query, Scalar, Upsert, Values, Write
from .translation import Purpose
from .typed import NULL, Cls, E, condition
from .written import Written, assignments, refuse_declared_conflict, returning, written_table

_ROWID = Column(ROWID_COLUMN, "INTEGER", Affinity.INTEGER, PgType.BIGINT)


@dataclass(slots=True)
class Target:
    """The table of an INSERT and the columns it is given."""

    table: Table
    name: str
    columns: list[Column]
    #: Place of the row id among the columns; None: the statement does not give it.
    rowid_at: int | None


def insert(c: Compiler, node: Insert) -> Written:
    """The steps of an INSERT."""
    table = written_table(c, node)
    target = _target(c, node, table)
    if node.conflict == "ABORT":
        refuse_declared_conflict(table, node)
    _note_defaults(c, target)
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
            _check_width(target, len(row), node)
        return _from_values(c, node, target, scope, prefix, body.rows)
    return _from_query(c, node, target, scope, prefix)


def _has_query(expr: Expr) -> bool:
    return any(
        isinstance(n, (Scalar, Exists)) or (isinstance(n, In) and isinstance(n.items, Query)) for n in walk(expr)
    )


def _check_width(target: Target, given: int, node: Node) -> None:
    if given != len(target.columns):
        raise Refusal(f"{given} values for {len(target.columns)} columns", node)


def _target(c: Compiler, node: Insert, table: Table) -> Target:
    if node.query is None:
        columns: list[Column] = []
    elif node.columns is None:
        columns = list(table.stored_columns)
    else:
        columns = [_column(table, name, node) for name in node.columns]
    rowid = table.rowid_column
    rowid_at = next((i for i, col in enumerate(columns) if rowid is not None and fold(col.name) == fold(rowid)), None)
    return Target(table, qualified(c.catalog.pg_schema, table.name), columns, rowid_at)


def _column(table: Table, name: str, node: Node) -> Column:
    found = table.column(name)
    if found is not None:
        if found.generated is not None:
            raise Refusal(f"cannot INSERT into generated column {name}", node)
        return found
    if fold(name) in ROWID_NAMES and not table.without_rowid:
        alias = table.column(table.rowid_alias) if table.rowid_alias is not None else None
        return alias or _ROWID
    raise Refusal(f"table {table.name} has no column named {name}", node)


def _note_defaults(c: Compiler, target: Target) -> None:
    """A default that asks for the time or for chance makes the statement do so."""
    given = {fold(col.name) for col in target.columns}
    for column in target.table.stored_columns:
        text = (column.default or "").lower()
        if fold(column.name) in given or not text:
            continue
        if "current_" in text or "'now'" in text or "julianday" in text or "datetime" in text or "unixepoch" in text:
            c.uses_now = True
        if "random" in text:
            c.nondeterministic.add("random")


# VALUES


def _from_values(
    c: Compiler, node: Insert, target: Target, scope: Scope, prefix: str, rows: list[list[Expr]]
) -> Written:
    names, texts, values = _rows(c, node, target, scope, rows)
    done = Written(target.table)
    tail, done.rowid_appended, done.returns_rows = _tail(c, node, target)
    conflict, counted_alone = _conflict(c, node, target)
    head = f"{prefix} " if prefix else ""
    into = f"{head}INSERT INTO {target.name}" + (f" AS {ident(_alias(node))}" if node.upserts else "")
    listed = f" ({', '.join(names)})" if names else ""
    if node.conflict == "REPLACE":
        if len(rows) > 1 and node.returning:
            raise Refusal("INSERT OR REPLACE of several rows with RETURNING", node)
        c.used("insert-or-replace")
        for text, row in zip(texts, values, strict=True):
            gone = _delete_conflicting(c, node, target, scope, row)
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
            return [*names, ident(rowid)], [[*texts[0], rowid_parameter().loose]], values
        texts[0][at] = rowid_parameter().loose
        return names, texts, values
    if at is not None:
        for text, row, given in zip(texts, values, chosen, strict=True):
            if not given:
                text[at] = "DEFAULT"
            elif row[at].nullable and not row[at].is_const:
                text[at] = f"COALESCE({text[at]}, {_next_id(c, target.table)})"
    return names, texts, values


def _next_id(c: Compiler, table: Table) -> str:
    from .typed import text_literal

    relation = text_literal(qualified(c.catalog.pg_schema, table.name))
    from .catalog import pg_name

    return f"nextval(pg_get_serial_sequence({relation}, {text_literal(pg_name(table.rowid_column or ''))}))"


def _tail(c: Compiler, node: Insert, target: Target) -> tuple[str, bool, bool]:
    """RETURNING: the app's columns, and for Purpose.APP the row id at the end."""
    items = returning(c, node, target.table, ident(target.table.name) if not node.upserts else ident(_alias(node)))
    appended = c.purpose is Purpose.APP and target.table.rowid_column is not None
    prefix = ident(_alias(node)) if node.upserts else ident(target.table.name)
    if appended:
        items = [*items, f"{prefix}.{ident(target.table.rowid_column or '')}"]
    return (f" RETURNING {', '.join(items)}" if items else ""), appended, bool(node.returning)


def _alias(node: Write) -> str:
    return node.table.alias or node.table.name


# OR REPLACE


def _delete_conflicting(c: Compiler, node: Insert, target: Target, scope: Scope, row: list[E]) -> str:
    """The condition under which a row stands in the way of the new one."""
    given = {fold(col.name): e for col, e in zip(target.columns, row, strict=True)}
    source = table_source(target.table, target.table.name)
    tests = []
    for key in unique_keys(target.table):
        parts = []
        for name in key:
            e = _key_value(c, target, given, name, node)
            if e is None or e.cls is Cls.NULL:
                break  # a NULL, or an id that SQLite makes up, conflicts with nothing
            column = source.by_name[fold(name)].e if fold(name) in source.by_name else source.rowid
            assert column is not None
            known = target.table.column(name)
            value = _as_stored(c, e, known, node)
            parts.append(condition(comparison.compare(c, "=", column, value, node)))
        else:
            tests.append(" AND ".join(parts))
    tests += _expression_tests(c, node, target, row)
    return " OR ".join(f"({t})" for t in tests) if len(tests) > 1 else "".join(tests)


def _expression_tests(c: Compiler, node: Insert, target: Target, row: list[E]) -> list[str]:
    """The same for unique indexes over expressions or part of the rows."""
    found = []
    for index in target.table.indexes:
        if not index.unique or not (index.partial or any(name is None for name in index.columns)):
            continue
        terms, where = _index_terms(index.sql or "")
        new = Scope(sources=[_new_row(c, node, target, row)])
        old = Scope(sources=[table_source(target.table, target.table.name)])
        tests = [condition(comparison.compare(c, "=", c.expr(t, old), c.expr(t, new), node)) for t in terms]
        if where is not None:
            tests += [condition(c.expr(where, old)), condition(c.expr(where, new))]
        found.append(" AND ".join(f"({t})" for t in tests))
    return found


def _index_terms(sql: str) -> tuple[list[Expr], Expr | None]:
    """The expressions of a CREATE INDEX and its WHERE."""
    try:
        parser = Parser(sql, lex(sql).tokens)
        while not parser.word("ON"):
            if parser.token.kind is T.END:
                raise parser.fail()
            parser.advance()
        parser.name()
        parser.need_op("(")
        terms = [term.expr for term in parser.order_by()]
        parser.need_op(")")
        return terms, parser.expr() if parser.word("WHERE") else None
    except (ParseError, LexError) as error:
        raise Refusal(f"an index is not understood: {error}") from None


def _new_row(c: Compiler, node: Insert, target: Target, row: list[E]) -> Src:
    """The row to be inserted, as a source: what CHECKs and expression indexes will see."""
    given = {fold(col.name): (col, e) for col, e in zip(target.columns, row, strict=True)}
    outs = []
    for column in target.table.columns:
        if fold(column.name) in given:
            col, e = given[fold(column.name)]
            known = NULL
            if e.cls is not Cls.NULL:
                kept = _as_stored(c, e, col, node)
                known = E(f"({kept.sql})::{col.pg_type.value}", kept.cls, col.affinity.value, col.collation)
        elif column.default is not None:
            known = default_value(c, column, target.table)
        else:
            known = NULL
        outs.append(Out(column.name, known))
    return Src(fold(target.table.name), outs)


def _key_value(c: Compiler, target: Target, given: dict[str, E], name: str, node: Node) -> E | None:
    rowid = target.table.rowid_column
    if rowid is not None and fold(name) == fold(rowid):
        e = given.get(fold(name))
        if e is None or e.cls is Cls.NULL:
            return rowid_parameter() if c.purpose is Purpose.APPLY else None
        return e
    if fold(name) in given:
        return given[fold(name)]
    column = target.table.column(name)
    if column is None or column.default is None:
        return None
    return default_value(c, column, target.table)


def default_value(c: Compiler, column: Column, table: Table) -> E:
    try:
        return c.expr(parse_expression(column.default or "NULL"), Scope())
    except (ParseError, Refusal) as error:
        raise Refusal(f"DEFAULT of {table.name}.{column.name}: {error}") from None


def _as_stored(c: Compiler, e: E, column: Column | None, node: Node) -> E:
    """The value as the column will hold it, to compare with what is there."""
    if column is None:
        return e
    text = stored(c, e, column, node)
    from .typed import CLS_OF

    known = E(text, CLS_OF[column.pg_type], affinity=column.affinity.value, atom=False)
    if e.is_const or e.param:
        return replace(known, param=e.param if text == e.loose else 0, bare=text, atom=True, collation=None)
    return known


# OR IGNORE


def _ignoring(
    c: Compiler, node: Insert, target: Target, scope: Scope, done: Written, into: str, listed: str,
    names: list[str], texts: list[list[str]], values: list[list[E]], tail: str,
) -> Written:  # fmt: skip
    c.used("insert-or-ignore")
    conflict = " ON CONFLICT DO NOTHING"
    tests = [_row_tests(c, node, target, row) for row in values]
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
    for column in (*target.columns, _ROWID):
        if ident(column.name) == name:
            return f"({text})::{column.pg_type.value}"
    return text


def _row_tests(c: Compiler, node: Insert, target: Target, row: list[E]) -> list[str]:
    """Conditions that the row must meet to be inserted at all."""
    given = {fold(col.name): (col, e) for col, e in zip(target.columns, row, strict=True)}
    tests: list[str] = []
    for column in target.table.stored_columns:
        if not column.not_null or (target.table.rowid_alias and fold(column.name) == fold(target.table.rowid_alias)):
            continue
        if fold(column.name) in given:
            e = given[fold(column.name)][1]
            if e.cls is Cls.NULL:
                return ["FALSE"]
            if e.nullable and not e.is_const:
                tests.append(condition(comparison.null_test(e, True)))
        elif column.default is None or column.default.upper() == "NULL":
            return ["FALSE"]
    if target.table.checks:
        scope = Scope(sources=[_new_row(c, node, target, row)])
        for text, _ in target.table.checks:
            e = c.expr(_parsed(text), scope)
            if e.is_const and e.const:
                continue
            tests.append(f"({condition(e)}) IS NOT FALSE")
    return tests


def _parsed(text: str) -> Expr:
    try:
        return parse_expression(text)
    except ParseError as error:
        raise Refusal(f"a CHECK is not understood: {error}") from None


# INSERT ... SELECT


def _from_query(c: Compiler, node: Insert, target: Target, scope: Scope, prefix: str) -> Written:
    assert node.query is not None
    names = [f"c{i}" for i in range(1, len(target.columns) + 1)]
    rel = compile_query(c, node.query, Scope(parent=scope), named=True, ordered=True)
    _check_width(target, len(rel.columns), node)
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
                texts.append(rowid_parameter().sql)
            else:
                texts[at] = rowid_parameter().sql
        elif at is not None and inner[at].e.nullable:
            texts[at] = f"COALESCE({texts[at]}, {_next_id(c, target.table)})"
    source_sql = f"({rel.sql}) AS s({', '.join(names)})"
    done = Written(target.table)
    tail, done.rowid_appended, done.returns_rows = _tail(c, node, target)
    conflict, _ = _conflict(c, node, target)
    into = f"INSERT INTO {target.name}" + (f" AS {ident(_alias(node))}" if node.upserts else "")
    listed = f" ({', '.join(columns)})"
    head = f"{prefix} " if prefix else ""
    if node.conflict == "REPLACE":
        return _replace_from_query(c, node, target, done, prefix, into, listed, rel.sql, names, texts, inner, tail)
    where = ""
    if node.conflict == "IGNORE":
        c.used("insert-or-ignore")
        tests = _row_tests(c, node, target, [out.e for out in inner])
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
    gone = _delete_conflicting(c, node, target, Scope(), [out.e for out in inner])
    ctes = f"s({', '.join(names)}) AS MATERIALIZED ({query})"
    where = ""
    if gone:
        ctes += f", gone AS (DELETE FROM {target.name} USING s WHERE {gone} RETURNING 1)"
        where = " WHERE (SELECT count(*) FROM gone) IS NOT NULL"
    head = f"{prefix}, " if prefix else "WITH "
    done.add(f"{head}{ctes} {into}{listed} SELECT {', '.join(texts)} FROM s{where}{tail}")
    return done


# ON CONFLICT


def _conflict(c: Compiler, node: Insert, target: Target) -> tuple[str, bool]:
    """The ON CONFLICT clause, and whether rows must go one by one."""
    if node.conflict == "ROLLBACK":
        raise Refusal("OR ROLLBACK ends the transaction", node)
    if not node.upserts:
        return "", False
    if node.conflict in ("REPLACE", "IGNORE"):
        raise Refusal(f"OR {node.conflict} together with ON CONFLICT", node)
    c.used("upsert")
    if len(node.upserts) > 1:
        raise Refusal("more than one ON CONFLICT clause", node)
    upsert = node.upserts[0]
    if upsert.target is None and upsert.sets is None:
        return " ON CONFLICT DO NOTHING", True
    place = _conflict_target(c, upsert, target, node)
    if upsert.sets is None:
        return f" ON CONFLICT {place} DO NOTHING", True
    alias = _alias(node)
    source = table_source(target.table, alias)
    excluded = table_source(target.table, "excluded")
    for out in excluded.columns:
        out.hidden = True
    excluded.rowid = None
    scope = Scope(sources=[source, excluded])
    sets = assignments(c, upsert.sets, target.table, scope, node)
    where = f" WHERE {condition(c.expr(upsert.where, scope))}" if upsert.where is not None else ""
    return f" ON CONFLICT {place} DO UPDATE SET {', '.join(sets)}{where}", True


def _conflict_target(c: Compiler, upsert: Upsert, target: Target, node: Insert) -> str:
    table = target.table
    if upsert.target is None:
        keys = unique_keys(table)
        if table.rowid_column == ROWID_COLUMN and len(keys) > 1:
            keys = [k for k in keys if k != (ROWID_COLUMN,)]
        if len(keys) != 1:
            raise Refusal("DO UPDATE without a conflict target on a table with several unique keys", node)
        return f"({', '.join(_target_column(table, name) for name in keys[0])})"
    if upsert.target_where is not None:
        scope = Scope(sources=[table_source(table, table.name, qualifier="")])
        where = f" WHERE {condition(c.expr(upsert.target_where, scope))}"
    else:
        where = ""
    from .syntax import Collate
    from .syntax import Column as Name

    parts = []
    for term in upsert.target:
        expr = term.expr.operand if isinstance(term.expr, Collate) else term.expr
        if not isinstance(expr, Name):
            raise Refusal("a conflict target that is an expression", term)
        column = _column(table, expr.name, term)
        parts.append(_target_column(table, column.name))
    return f"({', '.join(parts)}){where}"


def _target_column(table: Table, name: str) -> str:
    column = table.column(name)
    if column is not None and column.pg_type is PgType.TEXT and column.collation == "NOCASE":
        return f"lower({ident(name)})"
    if column is not None and column.pg_type is PgType.TEXT and column.collation == "RTRIM":
        return f"rtrim({ident(name)})"
    return ident(name)


__all__ = ["insert"]
