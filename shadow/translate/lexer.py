"""SQLite's tokens. Everything that looks at SQL text starts here: the parser, `split`, `fingerprint`, `normalise`.

https://www.sqlite.org/lang_expr.html and tokenize.c. Parameters are numbered as SQLite numbers them, in the order
of the text: `?` takes the next number, `?N` takes N, an equal name takes an equal number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple


class T(IntEnum):
    """Kinds of tokens."""

    WORD = 1  # bare identifier or keyword
    QUOTED = 2  # "x", [x] or `x`
    STRING = 3
    BLOB = 4
    INTEGER = 5
    FLOAT = 6
    PARAM = 7
    OP = 8
    END = 9


class Token(NamedTuple):
    kind: T
    #: WORD: upper case. QUOTED, STRING: the content. BLOB: hex digits. PARAM: its number. Else as written.
    text: str
    start: int
    end: int
    #: WORD: as written. QUOTED: the opening quote. PARAM: its name or ''.
    extra: str


class LexError(ValueError):
    """A character that starts no token of SQLite, or a quote that is never closed."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start = start
        self.end = end


_SCANNER = re.compile(
    r"""
      (?P<space>[ \t\n\f\r\ufeff]+|--[^\n]*|/\*(?:(?!\*/).)*(?:\*/|\Z))
    | (?P<blob>[xX]'(?:[0-9a-fA-F]{2})*')
    | (?P<word>[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*)
    | (?P<float>(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
    | (?P<hex>0[xX][0-9a-fA-F]+)
    | (?P<integer>[0-9]+)
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    | (?P<param>\?[0-9]*|[:@\#][\w$]+|\$(?:[\w$]|::)+(?:\([^\s)]*\))?)
    | (?P<op>->>|->|\|\||<<|>>|<=|>=|<>|!=|==|[-+*/%&|~<>=(),;.])
    """,
    re.VERBOSE | re.DOTALL,
)


class Lexed(NamedTuple):
    tokens: list[Token]
    #: Names of the parameters by number (index 0 is number 1); None for those without a name.
    parameters: tuple[str | None, ...]


def lex(sql: str) -> Lexed:
    """All tokens, the last one of kind END. Raises `LexError`."""
    tokens: list[Token] = []
    numbers: dict[str, int] = {}
    names: list[str | None] = []
    at, end = 0, len(sql)
    match = _SCANNER.match
    while at < end:
        found = match(sql, at)
        if found is None:
            raise LexError(f"unrecognized token: {sql[at : at + 12]!r}", at, min(end, at + 1))
        stop = found.end()
        group = found.lastgroup
        if group == "space":
            pass
        elif group == "word":
            written = found.group()
            tokens.append(Token(T.WORD, written.upper(), at, stop, written))
        elif group == "op":
            tokens.append(Token(T.OP, found.group(), at, stop, ""))
        elif group == "param":
            number, name = _number(found.group(), numbers, names)
            tokens.append(Token(T.PARAM, str(number), at, stop, name))
        else:
            tokens.append(_literal(group or "", found.group(), at, stop))
        at = stop
    tokens.append(Token(T.END, "", end, end, ""))
    return Lexed(tokens, tuple(names))


def _number(written: str, numbers: dict[str, int], names: list[str | None]) -> tuple[int, str]:
    if written == "?":
        names.append(None)
        return len(names), ""
    if written[0] == "?":
        number = int(written[1:])
        if not 1 <= number <= 32766:
            raise LexError("variable number must be between ?1 and ?32766", 0, 0)
        names.extend([None] * (number - len(names)))
        return number, ""
    if written not in numbers:
        names.append(written[1:])
        numbers[written] = len(names)
    return numbers[written], written[1:]


def _literal(group: str, written: str, at: int, stop: int) -> Token:
    if group == "string":
        return Token(T.STRING, written[1:-1].replace("''", "'"), at, stop, "'")
    if group == "quoted":
        close = "]" if written[0] == "[" else written[0]
        text = written[1:-1] if close == "]" else written[1:-1].replace(close * 2, close)
        return Token(T.QUOTED, text, at, stop, written[0])
    if group == "blob":
        return Token(T.BLOB, written[2:-1], at, stop, "")
    if group == "float":
        return Token(T.FLOAT, written, at, stop, "")
    if group == "hex":
        value = int(written, 16)
        return Token(T.INTEGER, str(value - 2**64 if value >= 2**63 else value), at, stop, "")
    return Token(T.INTEGER, written, at, stop, "")


def split(sql: str) -> list[str]:
    """The statements of a script, each without its semicolon; a CREATE TRIGGER ends at its END."""
    found: list[str] = []
    start: int | None = None
    last = 0
    for token, inside in _with_trigger_bodies(lex(sql).tokens):
        if token.kind is T.END or (token.text == ";" and token.kind is T.OP and not inside):
            if start is not None:
                found.append(sql[start:last])
            start = None
        else:
            start = token.start if start is None else start
            last = token.end
    return found


def _with_trigger_bodies(tokens: list[Token]) -> Iterator[tuple[Token, bool]]:
    """Each token, and whether it stands between BEGIN and END of a CREATE TRIGGER."""
    head: list[str] = []
    inside, cases = False, 0
    for token in tokens:
        yield token, inside
        if token.kind is T.OP and token.text == ";" and not inside:
            head = []
            continue
        word = token.text if token.kind is T.WORD else ""
        if inside:
            if word == "CASE":
                cases += 1
            elif word == "END":
                if cases:
                    cases -= 1
                else:
                    inside = False
        else:
            if len(head) < 3:
                head.append(word)
            if word == "BEGIN" and head[:1] == ["CREATE"] and "TRIGGER" in head:
                inside = True
