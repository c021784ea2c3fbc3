"""SQLite's grammar for what is translated: tokens in, syntax tree out.

Written after https://www.sqlite.org/lang.html; `expressions` has the precedences, which no general parser follows to
the letter (`||` above `*`; `=`, IS, IN, LIKE and BETWEEN on one level). What it does not know it rejects: `ParseError`
becomes `Unsupported`, never a guess.
"""

from __future__ import annotations

from .cursor import RESERVED, ParseError
from .expressions import Expressions
from .lexer import Lexed, LexError, T, lex
from .syntax import (
    Compound,
    Core,
    Cte,
    Delete,
    Expr,
    Insert,
    Item,
    Join,
    Other,
    Query,
    Source,
    Star,
    Statement,
    SubQuery,
    TableCall,
    TableRef,
    Update,
    Upsert,
    Values,
)

#: Words that may be names elsewhere, but begin something else after a table or result column.
_NOT_ALIAS_TEXT = """
    CROSS FULL INDEXED INNER LEFT NATURAL OUTER RIGHT WINDOW LIKE GLOB MATCH REGEXP OFFSET DESC ASC FILTER OVER
"""
_NOT_ALIAS = RESERVED | frozenset(_NOT_ALIAS_TEXT.split())
_JOIN_WORDS = frozenset({"NATURAL", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "OUTER", "JOIN"})


def parse(sql: str) -> tuple[Statement, Lexed]:
    """The tree of one statement. Raises `ParseError`."""
    try:
        lexed = lex(sql)
    except LexError as error:
        raise ParseError(str(error), error.start, error.end) from None
    return Parser(sql, lexed.tokens).statement(), lexed


def parse_expression(sql: str) -> Expr:
    """The tree of one expression. Raises `ParseError`."""
    try:
        lexed = lex(sql)
    except LexError as error:
        raise ParseError(str(error), error.start, error.end) from None
    parser = Parser(sql, lexed.tokens)
    expr = parser.expr()
    parser.finish()
    return expr


class Parser(Expressions):
    """Statements, queries and sources; methods are named after what they read."""

    __slots__ = ()

    # Statements

    def statement(self) -> Statement:
        start = self.token.start
        if self.token.kind is not T.WORD:
            if self.token.kind is T.END or self.is_op(";"):
                return Other((), start=start, end=len(self.sql))
            raise self.fail()
        ctes, recursive = self.with_clause()
        found: Statement
        if self.is_word("SELECT", "VALUES"):
            found = self.query_body(ctes, recursive)
        elif self.is_word("INSERT", "REPLACE"):
            found = self.insert()
        elif self.is_word("UPDATE"):
            found = self.update()
        elif self.is_word("DELETE"):
            found = self.delete()
        elif ctes:
            raise self.fail()
        else:
            words = tuple(t.text for t in self.tokens[:4] if t.kind is T.WORD)
            return Other(words, start=start, end=len(self.sql))
        if isinstance(found, (Insert, Update, Delete)):
            found.ctes, found.recursive = ctes, recursive
        end = self.last_end()
        self.finish()
        found.start, found.end = start, end
        return found

    def with_clause(self) -> tuple[list[Cte], bool]:
        ctes: list[Cte] = []
        if not self.word("WITH"):
            return ctes, False
        recursive = self.word("RECURSIVE")
        while True:
            start = self.token.start
            name = self.name()
            columns: list[str] = []
            if self.op("("):
                columns = self.names()
                self.need_op(")")
            self.need("AS")
            hint = None
            if self.word("MATERIALIZED"):
                hint = "MATERIALIZED"
            elif self.word("NOT", "MATERIALIZED"):
                hint = "NOT MATERIALIZED"
            self.need_op("(")
            query = self.query()
            self.need_op(")")
            ctes.append(Cte(name, columns, query, hint, start=start, end=self.last_end()))
            if not self.op(","):
                return ctes, recursive

    def query(self) -> Query:
        ctes, recursive = self.with_clause()
        return self.query_body(ctes, recursive)

    def query_body(self, ctes: list[Cte], recursive: bool) -> Query:
        start = self.token.start
        body: Core | Values | Compound = self.core()
        while self.is_word("UNION", "INTERSECT", "EXCEPT"):
            op = self.advance().text
            if op == "UNION" and self.word("ALL"):
                op = "UNION ALL"
            body = Compound(body, op, self.core(), start=start, end=self.last_end())
        order = self.order_by() if self.word("ORDER", "BY") else []
        limit = offset = None
        if self.word("LIMIT"):
            limit = self.expr()
            if self.word("OFFSET"):
                offset = self.expr()
            elif self.op(","):
                offset, limit = limit, self.expr()
        return Query(body, ctes, recursive, order, limit, offset, start=start, end=self.last_end())

    def core(self) -> Core | Values:
        start = self.token.start
        if self.word("VALUES"):
            rows = [self.value_row()]
            while self.op(","):
                rows.append(self.value_row())
            return Values(rows, start=start, end=self.last_end())
        self.need("SELECT")
        distinct = self.word("DISTINCT")
        if not distinct:
            self.word("ALL")
        core = Core(self.items(), distinct, start=start)
        if self.word("FROM"):
            core.source = self.source()
        if self.word("WHERE"):
            core.where = self.expr()
        if self.word("GROUP", "BY"):
            core.group = self.expr_list()
        if self.word("HAVING"):
            core.having = self.expr()
        if self.word("WINDOW"):
            while True:
                name = self.name()
                self.need("AS")
                core.windows[name.lower()] = self.window()
                if not self.op(","):
                    break
        core.end = self.last_end()
        return core

    def value_row(self) -> list[Expr]:
        self.need_op("(")
        items = self.expr_list()
        self.need_op(")")
        return items

    def items(self) -> list[Item]:
        found = [self.item()]
        while self.op(","):
            found.append(self.item())
        return found

    def item(self) -> Item:
        token = self.token
        expr: Expr
        if self.op("*"):
            return Item(Star(None, start=token.start, end=token.end), None, "*", start=token.start, end=token.end)
        if token.kind in (T.WORD, T.QUOTED) and self.peek().text == "." and self.peek(2)[:2] == (T.OP, "*"):
            expr = Star(self.name(), start=token.start)
            self.advance()
            self.advance()
            expr.end = self.last_end()
            return Item(expr, None, "*", start=token.start, end=expr.end)
        expr = self.expr()
        text = self.sql[token.start : self.last_end()]
        alias = self.alias()
        return Item(expr, alias, text, start=token.start, end=self.last_end())

    def alias(self) -> str | None:
        if self.word("AS"):
            return self.name()
        token = self.token
        if token.kind in (T.QUOTED, T.STRING) or (token.kind is T.WORD and token.text not in _NOT_ALIAS):
            return self.name()
        return None

    # FROM

    def source(self) -> Source:
        start = self.token.start
        left = self.table()
        while True:
            if self.op(","):
                left = Join(left, self.table(), ",", start=start)
                self.join_constraint(left)
            elif self.is_word(*_JOIN_WORDS):
                natural, kind = self.join_operator()
                left = Join(left, self.table(), kind, natural, start=start)
                self.join_constraint(left)
            else:
                return left
            left.end = self.last_end()

    def join_operator(self) -> tuple[bool, str]:
        natural = self.word("NATURAL")
        kind = "INNER"
        if self.is_word("LEFT", "RIGHT", "FULL"):
            kind = self.advance().text
            self.word("OUTER")
        elif self.is_word("INNER", "CROSS"):
            kind = self.advance().text
        natural = self.word("NATURAL") or natural
        self.need("JOIN")
        return natural, kind

    def join_constraint(self, join: Join) -> None:
        if self.word("ON"):
            join.on = self.expr()
        elif self.word("USING"):
            self.need_op("(")
            join.using = self.names()
            self.need_op(")")

    def table(self) -> Source:
        start = self.token.start
        if self.op("("):
            found: Source
            if self.is_word("SELECT", "VALUES", "WITH"):
                query = self.query()
                self.need_op(")")
                found = SubQuery(query, self.alias(), start=start)
            else:
                found = self.source()
                self.need_op(")")
                self.alias()
            found.end = self.last_end()
            return found
        schema, name = None, self.name()
        if self.op("."):
            schema, name = name, self.name()
        if schema is None and self.op("("):
            args = [] if self.is_op(")") else self.expr_list()
            self.need_op(")")
            return TableCall(name.lower(), args, self.alias(), start=start, end=self.last_end())
        ref = TableRef(schema, name, self.alias(), start=start, end=self.last_end())
        if self.word("INDEXED", "BY"):
            self.name()
        else:
            self.word("NOT", "INDEXED")
        return ref

    # Writes

    def written_table(self) -> TableRef:
        start = self.token.start
        schema, name = None, self.name()
        if self.op("."):
            schema, name = name, self.name()
        alias = self.name() if self.word("AS") else None
        return TableRef(schema, name, alias, start=start, end=self.last_end())

    def conflict_clause(self) -> str:
        if not self.word("OR"):
            return "ABORT"
        if not self.is_word("REPLACE", "IGNORE", "ABORT", "FAIL", "ROLLBACK"):
            raise self.fail()
        return self.advance().text

    def insert(self) -> Insert:
        if self.word("REPLACE"):
            conflict = "REPLACE"
        else:
            self.need("INSERT")
            conflict = self.conflict_clause()
        self.need("INTO")
        found = Insert(self.written_table(), conflict=conflict)
        if self.is_op("("):
            self.advance()
            found.columns = self.names()
            self.need_op(")")
        if not self.word("DEFAULT", "VALUES"):
            found.query = self.query()
            while self.word("ON", "CONFLICT"):
                found.upserts.append(self.upsert())
        found.returning = self.returning()
        return found

    def upsert(self) -> Upsert:
        start = self.token.start
        target = where = None
        if self.op("("):
            target = self.order_by()
            self.need_op(")")
            if self.word("WHERE"):
                where = self.expr()
        self.need("DO")
        if self.word("NOTHING"):
            return Upsert(target, where, None, None, start=start, end=self.last_end())
        self.need("UPDATE", "SET")
        sets = self.set_list()
        condition = self.expr() if self.word("WHERE") else None
        return Upsert(target, where, sets, condition, start=start, end=self.last_end())

    def set_list(self) -> list[tuple[list[str], Expr]]:
        sets: list[tuple[list[str], Expr]] = []
        while True:
            if self.op("("):
                names = self.names()
                self.need_op(")")
            else:
                names = [self.name()]
            if not self.op("=") and not self.op("=="):
                raise self.fail()
            sets.append((names, self.expr()))
            if not self.op(","):
                return sets

    def update(self) -> Update:
        self.need("UPDATE")
        conflict = self.conflict_clause()
        found = Update(self.written_table(), conflict=conflict)
        self.indexed()
        self.need("SET")
        found.sets = self.set_list()
        if self.word("FROM"):
            found.source = self.source()
        if self.word("WHERE"):
            found.where = self.expr()
        found.returning = self.returning()
        self.write_limit(found)
        return found

    def delete(self) -> Delete:
        self.need("DELETE", "FROM")
        found = Delete(self.written_table())
        self.indexed()
        if self.word("WHERE"):
            found.where = self.expr()
        found.returning = self.returning()
        self.write_limit(found)
        return found

    def indexed(self) -> None:
        if self.word("INDEXED", "BY"):
            self.name()
        else:
            self.word("NOT", "INDEXED")

    def returning(self) -> list[Item]:
        return self.items() if self.word("RETURNING") else []

    def write_limit(self, found: Update | Delete) -> None:
        if self.word("ORDER", "BY"):
            found.order = self.order_by()
        if self.word("LIMIT"):
            found.limit = self.expr()


__all__ = ["ParseError", "Parser", "parse", "parse_expression"]
