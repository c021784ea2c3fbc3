"""A cursor over the tokens of a statement: what every part of the grammar is read with."""

from __future__ import annotations

from .lexer import T, Token


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
RESERVED = frozenset(_RESERVED_TEXT.split())


class Cursor:
    """Where the parser stands; takes tokens or leaves them."""

    __slots__ = ("at", "depth", "sql", "token", "tokens")

    def __init__(self, sql: str, tokens: list[Token]) -> None:
        self.sql = sql
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.token = tokens[0]

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
        if self.token.kind is not T.WORD or self.token.text != words[0]:
            return False
        for ahead, expected in enumerate(words[1:], 1):
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
        if token.kind is T.WORD and token.text not in RESERVED:
            self.advance()
            return token.extra
        raise self.fail()

    def names(self) -> list[str]:
        found = [self.name()]
        while self.op(","):
            found.append(self.name())
        return found
