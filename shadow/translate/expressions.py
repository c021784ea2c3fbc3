"""The grammar of expressions, after the precedence table of https://www.sqlite.org/lang_expr.html."""

from __future__ import annotations

from .cursor import RESERVED, Cursor
from .lexer import T
from .syntax import (
    Between,
    Binary,
    Call,
    Case,
    Cast,
    Collate,
    Column,
    Core,
    Exists,
    Expr,
    In,
    Item,
    Keyword,
    Like,
    Literal,
    OrderTerm,
    Param,
    Query,
    Row,
    Scalar,
    Source,
    Star,
    Unary,
    Window,
)

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


class Expressions(Cursor):
    """Expressions, loosest first. What stands in brackets after SELECT is read by the statements' grammar."""

    __slots__ = ()

    def query(self) -> Query:
        raise NotImplementedError

    def table(self) -> Source:
        raise NotImplementedError

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
            if token.text in RESERVED and token.text not in ("REPLACE", "ABORT"):
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
