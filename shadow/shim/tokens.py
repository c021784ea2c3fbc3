"""SQLite's tokenizer, by hand: what tokenize.c does, as far as classification needs it.

It never fails: what SQLite would call an illegal token is a token of kind ILLEGAL, and SQLite itself says so to the
app when it runs the text. Spaces and comments are dropped.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class T(IntEnum):
    """Kinds of tokens."""

    WORD = 0  # a keyword or a bare identifier; `value` is its upper case
    QUOTED = 1  # "x", `x`, [x]: `value` is the name inside
    STRING = 2  # 'x'; `value` is the text inside
    NUMBER = 3
    BLOB = 4
    VARIABLE = 5  # ?, ?1, :a, @a, $a
    OPERATOR = 6
    SEMICOLON = 7
    ILLEGAL = 8


class Token(NamedTuple):
    kind: T
    value: str
    start: int
    end: int


_SPACE = frozenset(" \t\n\f\r\ufeff")
_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdefABCDEF")
_WORD_ASCII = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$")
_CLOSING = {'"': '"', "`": "`", "[": "]"}
_TWO = frozenset(("->", "||", "<<", "<=", "<>", ">=", ">>", "==", "!="))


def _is_word_char(char: str) -> bool:
    return char in _WORD_ASCII or char >= "\x80"


def upper(word: str) -> str:
    """ASCII upper case: SQLite's keywords and names know no other."""
    return word.upper() if word.isascii() else "".join(c.upper() if c.isascii() else c for c in word)


def tokenize(sql: str) -> list[Token]:
    """All tokens of a text, in order."""
    out: list[Token] = []
    at, size = 0, len(sql)
    while at < size:
        char = sql[at]
        if char in _SPACE:
            at += 1
        elif char == "-" and sql.startswith("--", at):
            newline = sql.find("\n", at)
            at = size if newline < 0 else newline + 1
        elif char == "/" and sql.startswith("/*", at) and at + 2 < size:
            close = sql.find("*/", at + 2)
            at = size if close < 0 else close + 2
        else:
            token = _token(sql, at, size, char)
            out.append(token)
            at = token.end
    return out


def _token(sql: str, at: int, size: int, char: str) -> Token:
    if char in "xX" and sql.startswith("'", at + 1):
        end, _ = _quoted(sql, at + 1, "'")
        return Token(T.BLOB, sql[at:end], at, end)
    if char in _DIGITS or (char == "." and at + 1 < size and sql[at + 1] in _DIGITS):
        return _number(sql, at, size)
    if char in "?:@$#":
        return _variable(sql, at, size, char)
    if _is_word_char(char):
        end = at + 1
        while end < size and _is_word_char(sql[end]):
            end += 1
        return Token(T.WORD, upper(sql[at:end]), at, end)
    if char == "'":
        end, text = _quoted(sql, at, "'")
        return Token(T.STRING, text, at, end) if text is not None else Token(T.ILLEGAL, sql[at:end], at, end)
    if char in _CLOSING:
        end, text = _quoted(sql, at, _CLOSING[char])
        return Token(T.QUOTED, text, at, end) if text is not None else Token(T.ILLEGAL, sql[at:end], at, end)
    if char == ";":
        return Token(T.SEMICOLON, ";", at, at + 1)
    end = at + 2 if sql[at : at + 2] in _TWO else at + 1
    return Token(T.OPERATOR, sql[at:end], at, end)


def _quoted(sql: str, at: int, close: str) -> tuple[int, str | None]:
    """End of the quoted text that begins at `at`, and what is inside; None: it never ends."""
    start = at + 1
    search = start
    while True:
        found = sql.find(close, search)
        if found < 0:
            return len(sql), None
        if close == "]" or not sql.startswith(close, found + 1):
            return found + 1, sql[start:found].replace(close + close, close) if close != "]" else sql[start:found]
        search = found + 2


def _number(sql: str, at: int, size: int) -> Token:
    end = at
    if sql[at] == "0" and sql[at + 1 : at + 2] in ("x", "X") and sql[at + 2 : at + 3] in _HEX and at + 2 < size:
        end = at + 2
        while end < size and sql[end] in _HEX:
            end += 1
    else:
        while end < size and (sql[end] in _DIGITS or sql[end] == "."):
            end += 1
        if end < size and sql[end] in "eE":
            digits = end + 2 if sql[end + 1 : end + 2] in ("+", "-") else end + 1
            if digits < size and sql[digits] in _DIGITS:
                end = digits
                while end < size and sql[end] in _DIGITS:
                    end += 1
    kind = T.NUMBER
    while end < size and _is_word_char(sql[end]):
        kind, end = T.ILLEGAL, end + 1
    return Token(kind, sql[at:end], at, end)


def _variable(sql: str, at: int, size: int, char: str) -> Token:
    end = at + 1
    if char == "?":
        while end < size and sql[end] in _DIGITS:
            end += 1
        return Token(T.VARIABLE, sql[at:end], at, end)
    while end < size:
        if _is_word_char(sql[end]):
            end += 1
        elif sql.startswith("::", end):  # a Tcl namespace: part of the name, as in tokenize.c
            end += 2
        else:
            break
    return Token(T.VARIABLE if end > at + 1 else T.ILLEGAL, sql[at:end], at, end)
