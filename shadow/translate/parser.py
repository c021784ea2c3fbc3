"""SQLite's grammar for what is translated: tokens in, syntax tree out.

Written after https://www.sqlite.org/lang.html and the precedence table of lang_expr.html, which no general parser
follows to the letter (`||` above `*`, `=`, IS, IN, LIKE and BETWEEN on one level). What it does not know it rejects:
`ParseError` becomes `Unsupported`, never a guess.
"""

from __future__ import annotations

from .lexer import Lexed, LexError, T, Token, lex
from .syntax import (
    Between,
    Binary,
    Call,
    Case,
    Cast,
    Collate,
    Column,
    Compound,
    Core,
    Cte,
    Delete,
    Exists,
    Expr,
    In,
    Insert,
    Item,
    Join,
    Keyword,
    Like,
    Literal,
    OrderTerm,
    Other,
    Param,
    Query,
    Row,
    Scalar,
    Source,
    Star,
    Statement,
    SubQuery,
    TableCall,
    TableRef,
    Unary,
    Update,
    Upsert,
    Values,
    Window,
)


class ParseError(ValueError):
    """The text is not in the grammar; `start` and `end` point at the token that did not fit."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start = start
        self.end = end


#: Words that end an expression or a table name, so that they are never taken for an alias without AS.
_RESERVED_TEXT = """
    ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE DEFAULT DEFERRABLE
    DELETE DISTINCT DROP ELSE ESCAPE EXCEPT EXISTS FOREIGN FROM GROUP HAVING IN INDEX INSERT INTERSECT INTO IS
    ISNULL JOIN LIMIT NOT NOTHING NOTNULL NULL ON OR ORDER PRIMARY REFERENCES RETURNING SELECT SET TABLE THEN TO
    TRANSACTION UNION UNIQUE UPDATE USING VALUES WHEN WHERE
"""
_RESERVED = frozenset(_RESERVED_TEXT.split())
#: Words that may be names elsewhere, but begin something else after a table or result column.
_NOT_ALIAS_TEXT = """
    CROSS FULL INDEXED INNER LEFT NATURAL OUTER RIGHT WINDOW LIKE GLOB MATCH REGEXP OFFSET DESC ASC FILTER OVER
"""
_NOT_ALIAS = _RESERVED | frozenset(_NOT_ALIAS_TEXT.split())
_JOIN_WORDS = frozenset({"NATURAL", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "OUTER", "JOIN"})
_CURRENT = frozenset({"CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"})

_EQUALITY = {"=": "=", "==": "=", "<>": "<>", "!=": "<>"}
#: Binary operators above the level of =, by how tightly they bind.
_TIGHTNESS = {
    **dict.fromkeys(("<", "<=", ">", ">="), 0),
    **dict.fromkeys(("&", "|", "<<", ">>"), 1),
    **dict.fromkeys(("+", "-"), 2),
    **dict.fromkeys(("*", "/", "%"), 3),
    **dict.fromkeys(("||", "->", "->>"), 4),
}
_DEPTH_MAX = 400  # SQLite's own limit of an expression tree is 1000; Python's stack is the narrower one


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


class Parser:
    """One pass over the tokens; methods are named after what they read."""

    __slots__ = ("at", "depth", "sql", "token", "tokens")

    def __init__(self, sql: str, tokens: list[Token]) -> None:
        self.sql = sql
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.token = tokens[0]

    # Tokens

    def advance(self) -> Token:
        token = self.token
        self.at += 1
        self.token = self.tokens[self.at] if self.at < len(self.tokens) else self.tokens[-1]
        return token

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def fail(self, message: str | None = None) -> ParseError:
        token = self.token
        near = self.sql[token.start : token.end] or "the end"
        return ParseError(message or f'near "{near}": not understood', token.start, token.end)

    def is_word(self, *words: str) -> bool:
        return self.token.kind is T.WORD and self.token.text in words

    def word(self, *words: str) -> bool:
        """Take the next words if they are these, in this order."""
        for ahead, expected in enumerate(words):
            token = self.peek(ahead)
            if token.kind is not T.WORD or token.text != expected:
                return False
        for _ in words:
            self.advance()
        return True

    def need(self, *words: str) -> None:
        if not self.word(*words):
            raise self.fail()

    def is_op(self, op: str) -> bool:
        return self.token.kind is T.OP and self.token.text == op

    def op(self, op: str) -> bool:
        if self.token.kind is T.OP and self.token.text == op:
            self.advance()
            return True
        return False

    def need_op(self, op: str) -> None:
        if not self.op(op):
            raise self.fail()

    def finish(self) -> None:
        while self.op(";"):
            pass
        if self.token.kind is not T.END:
            raise self.fail()

    def last_end(self) -> int:
        return self.tokens[self.at - 1].end if self.at else 0

    def name(self) -> str:
        """An identifier; SQLite takes a string in its place too."""
        token = self.token
        if token.kind in (T.QUOTED, T.STRING):
            self.advance()
            return token.text
        if token.kind is T.WORD and token.text not in _RESERVED:
            self.advance()
            return token.extra
        raise self.fail()

    def names(self) -> list[str]:
        found = [self.name()]
        while self.op(","):
            found.append(self.name())
        return found

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

    # Expressions, loosest first

    def expr_list(self) -> list[Expr]:
        found = [self.expr()]
        while self.op(","):
            found.append(self.expr())
        return found

    def order_by(self) -> list[OrderTerm]:
        found = []
        while True:
            start = self.token.start
            term = OrderTerm(self.expr(), start=start)
            if self.word("DESC"):
                term.descending = True
            else:
                self.word("ASC")
            if self.word("NULLS", "FIRST"):
                term.nulls_first = True
            elif self.word("NULLS", "LAST"):
                term.nulls_first = False
            term.end = self.last_end()
            found.append(term)
            if not self.op(","):
                return found

    def expr(self) -> Expr:
        self.depth += 1
        if self.depth > _DEPTH_MAX:
            raise self.fail("expression nested too deeply")
        try:
            left = self.and_()
            while self.is_word("OR"):
                self.advance()
                left = self.binary("OR", left, self.and_())
            return left
        finally:
            self.depth -= 1

    def and_(self) -> Expr:
        left = self.not_()
        while self.is_word("AND"):
            self.advance()
            left = self.binary("AND", left, self.not_())
        return left

    def not_(self) -> Expr:
        start = self.token.start
        if self.is_word("NOT") and not (self.peek().kind is T.WORD and self.peek().text == "EXISTS"):
            self.advance()
            return Unary("NOT", self.not_(), start=start, end=self.last_end())
        return self.equality()

    def binary(self, op: str, left: Expr, right: Expr) -> Binary:
        return Binary(op, left, right, start=left.start, end=right.end)

    def equality(self) -> Expr:
        """=, <>, IS, IN, LIKE, GLOB, MATCH, REGEXP, BETWEEN, ISNULL, NOTNULL: one level, from the left."""
        left = self.tier(0)
        while True:
            token = self.token
            if token.kind is T.OP:
                if token.text not in _EQUALITY:
                    return left
                self.advance()
                left = self.binary(_EQUALITY[token.text], left, self.tier(0))
                continue
            if token.kind is not T.WORD:
                return left
            found = self.predicate(left)
            if found is None:
                return left
            found.start, found.end = left.start, self.last_end()
            left = found

    def predicate(self, left: Expr) -> Expr | None:
        if self.word("IS"):
            negated = self.word("NOT")
            if self.word("DISTINCT", "FROM"):
                negated = not negated
            return Binary("IS NOT" if negated else "IS", left, self.tier(0))
        if self.word("ISNULL"):
            return Unary("ISNULL", left)
        if self.word("NOTNULL") or self.word("NOT", "NULL"):
            return Unary("NOTNULL", left)
        ahead = self.peek() if self.is_word("NOT") else self.token
        if ahead.kind is not T.WORD or ahead.text not in ("IN", "LIKE", "GLOB", "MATCH", "REGEXP", "BETWEEN"):
            return None
        negated = self.word("NOT")
        op = self.advance().text
        if op == "IN":
            return self.in_(left, negated)
        if op == "BETWEEN":
            low = self.tier(0)
            self.need("AND")
            return Between(left, low, self.tier(0), negated)
        if op in ("MATCH", "REGEXP"):
            found: Expr = Binary(op, left, self.tier(0))
            return Unary("NOT", found) if negated else found
        pattern = self.tier(0)
        escape = self.tier(0) if self.word("ESCAPE") else None
        return Like(op, left, pattern, escape, negated)

    def in_(self, left: Expr, negated: bool) -> In:
        start = self.token.start
        if not self.op("("):
            table = self.table()
            star = Item(Star(None), None, "*")
            return In(left, Query(Core([star], source=table), start=start, end=self.last_end()), negated)
        if self.is_word("SELECT", "VALUES", "WITH"):
            query = self.query()
            self.need_op(")")
            return In(left, query, negated)
        items = [] if self.is_op(")") else self.expr_list()
        self.need_op(")")
        return In(left, items, negated)

    def tier(self, tightness: int) -> Expr:
        """Binary operators that bind at least so tightly, each level from the left."""
        left = self.unary()
        while self.token.kind is T.OP:
            own = _TIGHTNESS.get(self.token.text)
            if own is None or own < tightness:
                break
            op = self.advance().text
            left = self.binary(op, left, self.tier(own + 1))
        return left

    def unary(self) -> Expr:
        token = self.token
        if token.kind is T.OP and token.text in ("-", "+", "~"):
            self.advance()
            number = self.token
            if token.text == "-" and number.kind is T.INTEGER and int(number.text) == 2**63:
                self.advance()
                return Literal(-(2**63), start=token.start, end=number.end)
            operand = self.unary()
            return Unary(token.text, operand, start=token.start, end=self.last_end())
        found = self.primary()
        while self.word("COLLATE"):
            found = Collate(found, self.name().upper(), start=token.start, end=self.last_end())
        return found

    def primary(self) -> Expr:
        token = self.token
        kind = token.kind
        start, end = token.start, token.end
        if kind is T.WORD:
            return self.word_primary()
        if kind is T.PARAM:
            self.advance()
            return Param(int(token.text), start=start, end=end)
        if kind is T.INTEGER:
            self.advance()
            value = int(token.text)
            return Literal(value if value < 2**63 else float(value), start=start, end=end)
        if kind is T.FLOAT:
            self.advance()
            return Literal(float(token.text), start=start, end=end)
        if kind is T.STRING:
            self.advance()
            return Literal(token.text, start=start, end=end)
        if kind is T.BLOB:
            self.advance()
            return Literal(bytes.fromhex(token.text), start=start, end=end)
        if kind is T.QUOTED:
            return self.column_or_call()
        if self.op("("):
            return self.bracket(start)
        raise self.fail()

    def bracket(self, start: int) -> Expr:
        found: Expr
        if self.is_word("SELECT", "VALUES", "WITH"):
            query = self.query()
            self.need_op(")")
            return Scalar(query, start=start, end=self.last_end())
        items = self.expr_list()
        self.need_op(")")
        if len(items) == 1:
            return items[0]
        found = Row(items, start=start, end=self.last_end())
        return found

    def word_primary(self) -> Expr:
        token = self.token
        start, end, text = token.start, token.end, token.text
        if text == "NULL":
            self.advance()
            return Literal(None, start=start, end=end)
        if text in _CURRENT:
            self.advance()
            return Keyword(text, start=start, end=end)
        if text == "CASE":
            return self.case()
        if text == "CAST" and self.peek().text == "(":
            return self.cast()
        if text in ("EXISTS", "NOT"):
            self.advance()
            negated = text == "NOT"
            if negated:
                self.need("EXISTS")
            self.need_op("(")
            query = self.query()
            self.need_op(")")
            found: Expr = Exists(query, start=start, end=self.last_end())
            return Unary("NOT", found, start=start, end=self.last_end()) if negated else found
        if text in ("TRUE", "FALSE") and self.peek().text not in (".", "("):
            self.advance()
            return Literal(1 if text == "TRUE" else 0, True, start=start, end=end)
        return self.column_or_call()

    def column_or_call(self) -> Expr:
        token = self.token
        start = token.start
        if token.kind is T.WORD and self.peek().kind is T.OP and self.peek().text == "(":
            if token.text in _RESERVED and token.text not in ("REPLACE", "ABORT"):
                raise self.fail()
            self.advance()
            self.advance()
            return self.call(token.extra.lower(), start)
        name = self.name()
        if not self.op("."):
            maybe = token.kind is T.QUOTED and token.extra == '"'
            return Column(None, name, maybe, start=start, end=token.end)
        table, name = name, self.name()
        if self.op("."):
            table, name = name, self.name()
        return Column(table, name, start=start, end=self.last_end())

    def call(self, name: str, start: int) -> Call:
        found = Call(name, [], start=start)
        if self.op("*"):
            found.star = True
        elif not self.is_op(")"):
            if self.word("DISTINCT"):
                found.distinct = True
            else:
                self.word("ALL")
            found.args = self.expr_list()
            if self.word("ORDER", "BY"):
                found.order = self.order_by()
        self.need_op(")")
        if self.is_word("FILTER") and self.peek().text == "(":
            self.advance()
            self.advance()
            self.need("WHERE")
            found.where = self.expr()
            self.need_op(")")
        if self.word("OVER"):
            found.over = self.window() if self.is_op("(") else self.name().lower()
        found.end = self.last_end()
        return found

    def window(self) -> Window:
        start = self.token.start
        self.need_op("(")
        base = None
        if self.token.kind in (T.WORD, T.QUOTED) and not self.is_word("PARTITION", "ORDER", "RANGE", "ROWS", "GROUPS"):
            base = self.name().lower()
        found = Window(base, [], [], "", start=start)
        if self.word("PARTITION", "BY"):
            found.partition = self.expr_list()
        if self.word("ORDER", "BY"):
            found.order = self.order_by()
        frame: list[str] = []
        while not self.is_op(")"):
            token = self.advance()
            if token.kind not in (T.WORD, T.INTEGER):
                raise self.fail("a window frame whose bounds are not plain numbers")
            frame.append(token.text)
        found.frame = " ".join(frame)
        self.need_op(")")
        found.end = self.last_end()
        return found

    def case(self) -> Case:
        start = self.token.start
        self.need("CASE")
        base = None if self.is_word("WHEN") else self.expr()
        whens: list[tuple[Expr, Expr]] = []
        while self.word("WHEN"):
            condition = self.expr()
            self.need("THEN")
            whens.append((condition, self.expr()))
        otherwise = self.expr() if self.word("ELSE") else None
        self.need("END")
        return Case(base, whens, otherwise, start=start, end=self.last_end())

    def cast(self) -> Cast:
        start = self.token.start
        self.advance()
        self.need_op("(")
        operand = self.expr()
        self.need("AS")
        words = []
        depth = 0
        while depth or not self.is_op(")"):
            token = self.advance()
            if token.kind is T.END:
                raise self.fail()
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind is T.OP else 0
            words.append(token.extra if token.kind is T.WORD else token.text)
        self.need_op(")")
        return Cast(operand, " ".join(words), start=start, end=self.last_end())
