"""What stands in the way of a new row: unique keys, NOT NULL, CHECK, and the ON CONFLICT clause."""

from __future__ import annotations

from dataclasses import replace

from .assign import stored
from .catalog import ROWID_COLUMN, Column, PgType, Table, fold
from .compiler import Compiler, Refusal
from .lexer import LexError, T, lex
from .names import ident
from .parser import ParseError, Parser, parse_expression
from .rowimage import unique_keys
from .rules import comparison
from .rules.values import rowid_parameter
from .scope import Out, Scope, Src, table_source
from .syntax import Expr, Insert, Node, Upsert
from .target import Target, called, given_column
from .translation import Purpose
from .typed import NULL, Cls, E, condition
from .written import assignments


def conflicting(c: Compiler, node: Insert, target: Target, scope: Scope, row: list[E]) -> str:
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


def row_tests(c: Compiler, node: Insert, target: Target, row: list[E]) -> list[str]:
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


def conflict_clause(c: Compiler, node: Insert, target: Target) -> tuple[str, bool]:
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
    alias = called(node)
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
        column = given_column(table, expr.name, term)
        parts.append(_target_column(table, column.name))
    return f"({', '.join(parts)}){where}"


def _target_column(table: Table, name: str) -> str:
    column = table.column(name)
    if column is not None and column.pg_type is PgType.TEXT and column.collation == "NOCASE":
        return f"lower({ident(name)})"
    if column is not None and column.pg_type is PgType.TEXT and column.collation == "RTRIM":
        return f"rtrim({ident(name)})"
    return ident(name)
