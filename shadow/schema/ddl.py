"""What no PRAGMA tells about a table: CHECKs, collations, generated expressions, AUTOINCREMENT, index terms.

SQLite keeps the text of each CREATE statement and has parsed it before, so a tokenizer and the brackets' depth are
enough: nothing here has to reject bad SQL. Columns are matched to `PRAGMA table_xinfo` by their place, never by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ..translate.catalog import fold

_CLOSING = {'"': '"', "'": "'", "`": "`", "[": "]"}
_TABLE_CONSTRAINTS = frozenset({"constraint", "primary", "unique", "check", "foreign"})


class Kind(Enum):
    WORD = 1  # bare identifier or keyword
    QUOTED = 2  # any of the four quoting styles
    OTHER = 3  # number, operator, bracket


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    #: Folded for a word, without its quotes for a quoted one, as written otherwise.
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        return self.kind is Kind.WORD and self.text in words

    def is_mark(self, mark: str) -> bool:
        return self.kind is Kind.OTHER and self.text == mark


def tokens(sql: str) -> Iterator[Token]:
    """The tokens of a statement that SQLite has accepted; comments and spaces left out."""
    at, end = 0, len(sql)
    while at < end:
        char = sql[at]
        if char in " \t\n\f\r":
            at += 1
        elif sql.startswith("--", at):
            newline = sql.find("\n", at)
            at = end if newline < 0 else newline + 1
        elif sql.startswith("/*", at):
            close = sql.find("*/", at + 2)
            at = end if close < 0 else close + 2
        elif char in _CLOSING:
            stop, text = _quoted(sql, at)
            yield Token(Kind.QUOTED, text, at, stop)
            at = stop
        elif _is_name(char):
            stop = at + 1
            while stop < end and _is_name(sql[stop]):
                stop += 1
            kind = Kind.OTHER if char.isdigit() else Kind.WORD
            yield Token(kind, fold(sql[at:stop]), at, stop)
            at = stop
        else:
            yield Token(Kind.OTHER, char, at, at + 1)
            at += 1


def _is_name(char: str) -> bool:
    return char.isalnum() or char in "_$" or char > "\x7f"


def _quoted(sql: str, at: int) -> tuple[int, str]:
    close = _CLOSING[sql[at]]
    stop = at + 1
    while True:
        stop = sql.find(close, stop)
        if stop < 0:
            return len(sql), sql[at + 1 :]
        if close != "]" and sql.startswith(close * 2, stop):
            stop += 2
            continue
        return stop + 1, sql[at + 1 : stop].replace(close * 2, close) if close != "]" else sql[at + 1 : stop]


@dataclass(frozen=True, slots=True)
class ColumnText:
    """What a column definition says beyond its PRAGMA row."""

    collation: str = "BINARY"
    generated: str | None = None


@dataclass(slots=True)
class TableText:
    """What a CREATE TABLE says beyond its PRAGMAs."""

    columns: list[ColumnText] = field(default_factory=list)
    #: (expression, constraint name or '').
    checks: list[tuple[str, str]] = field(default_factory=list)
    autoincrement: bool = False


@dataclass(frozen=True, slots=True)
class IndexTerm:
    """One term of CREATE INDEX: its expression without collation and direction."""

    expression: str
    collation: str | None
    descending: bool


@dataclass(frozen=True, slots=True)
class IndexText:
    terms: tuple[IndexTerm, ...]
    where: str | None


def parse_table(sql: str) -> TableText:
    """Read a CREATE TABLE as SQLite stores it; empty for a virtual table."""
    found = TableText()
    stream = list(tokens(sql))
    opening = next((i for i, t in enumerate(stream) if t.is_mark("(")), None)
    if opening is None or any(t.is_word("virtual") for t in stream[:opening]):
        return found
    body = stream[opening + 1 : _closing(stream, opening)]
    for part in _split(body):
        if part and not part[0].is_word(*_TABLE_CONSTRAINTS):
            found.columns.append(_column(sql, part, found))
        else:
            _checks(sql, part, found)
    return found


def parse_index(sql: str) -> IndexText:
    """Read a CREATE INDEX as SQLite stores it."""
    stream = list(tokens(sql))
    on = next(i for i, t in enumerate(stream) if i and t.is_word("on"))
    opening = next(i for i in range(on, len(stream)) if stream[i].is_mark("("))
    closing = _closing(stream, opening)
    terms = tuple(_term(sql, part) for part in _split(stream[opening + 1 : closing]))
    rest = [t for t in stream[closing + 1 :] if not t.is_mark(";")]
    where = sql[rest[1].start : rest[-1].end] if len(rest) > 1 and rest[0].is_word("where") else None
    return IndexText(terms, where)


def _term(sql: str, part: Sequence[Token]) -> IndexTerm:
    stop, descending, collation = len(part), False, None
    if part[stop - 1].is_word("asc", "desc"):
        descending = part[stop - 1].text == "desc"
        stop -= 1
    if stop >= 3 and part[stop - 2].is_word("collate"):
        collation = part[stop - 1].text.upper()
        stop -= 2
    return IndexTerm(sql[part[0].start : part[stop - 1].end], collation, descending)


def _column(sql: str, part: Sequence[Token], found: TableText) -> ColumnText:
    collation, generated = "BINARY", None
    for i, (token, depth) in enumerate(_depths(part)):
        if depth or not i:
            continue
        if token.is_word("collate"):
            collation = part[i + 1].text.upper()
        elif token.is_word("as") and part[i + 1].is_mark("("):
            generated = _inside(sql, part, i + 1)
        elif token.is_word("autoincrement"):
            found.autoincrement = True
    _checks(sql, part, found)
    return ColumnText(collation, generated)


def _checks(sql: str, part: Sequence[Token], found: TableText) -> None:
    name = ""
    for i, (token, depth) in enumerate(_depths(part)):
        if depth:
            continue
        if token.is_word("constraint") and i + 1 < len(part):
            name = sql[part[i + 1].start : part[i + 1].end] if part[i + 1].kind is Kind.WORD else part[i + 1].text
        elif token.is_word("check") and i + 1 < len(part) and part[i + 1].is_mark("("):
            found.checks.append((_inside(sql, part, i + 1), name))
            name = ""
        elif token.is_word("autoincrement"):  # PRIMARY KEY (id AUTOINCREMENT) as a table constraint
            found.autoincrement = True
    if part and part[0].is_word("constraint", "primary") and any(t.is_word("autoincrement") for t in part):
        found.autoincrement = True


def _depths(part: Sequence[Token]) -> Iterator[tuple[Token, int]]:
    """Each token with the number of brackets open before it; a bracket itself counts as inside."""
    depth = 0
    for token in part:
        if token.is_mark("("):
            depth += 1
        yield token, depth
        if token.is_mark(")"):
            depth -= 1


def _inside(sql: str, part: Sequence[Token], opening: int) -> str:
    return sql[part[opening].end : part[_closing(part, opening)].start].strip()


def _closing(part: Sequence[Token], opening: int) -> int:
    depth = 0
    for i in range(opening, len(part)):
        if part[i].is_mark("("):
            depth += 1
        elif part[i].is_mark(")"):
            depth -= 1
            if not depth:
                return i
    raise ValueError("a CREATE statement with an open bracket")


def _split(part: Sequence[Token]) -> Iterator[list[Token]]:
    current: list[Token] = []
    for token, depth in _depths(part):
        if not depth and token.is_mark(","):
            yield current
            current = []
        else:
            current.append(token)
    yield current
