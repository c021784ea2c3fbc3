"""A piece of PostgreSQL text with what is known of its SQLite value: class, affinity, collation.

Every expression is compiled to one of these; rules look at classes, never at text. A parameter stands in the text as a
mark (`mark`), so that pieces can be reordered and repeated; `render` turns marks into psycopg2's `%s` at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from ..values import affinity as storage
from .catalog import PgType


class Cls(IntEnum):
    """The storage class a value surely has (unless it is NULL), and by that its PostgreSQL type."""

    NULL = 0  # always NULL; no type yet
    INT = 1  # bigint
    REAL = 2  # double precision
    TEXT = 3  # text
    BLOB = 4  # bytea
    BOOL = 5  # the integers 0 and 1, as PostgreSQL's boolean
    VALUE = 6  # not known: shadow.value


PG_NAME = {
    Cls.INT: "bigint",
    Cls.REAL: "double precision",
    Cls.TEXT: "text",
    Cls.BLOB: "bytea",
    Cls.BOOL: "boolean",
    Cls.VALUE: "shadow.value",
    Cls.NULL: "text",
}
CLS_OF = {
    PgType.BIGINT: Cls.INT,
    PgType.DOUBLE: Cls.REAL,
    PgType.TEXT: Cls.TEXT,
    PgType.BYTEA: Cls.BLOB,
    PgType.BOOLEAN: Cls.BOOL,
    PgType.VALUE: Cls.VALUE,
}
NUMERIC_AFFINITIES = frozenset({"integer", "real", "numeric"})
NUMBERS = frozenset({Cls.INT, Cls.REAL, Cls.BOOL})


class _NotConst:
    __slots__ = ()


NOT_CONST = _NotConst()


@dataclass(frozen=True, slots=True)
class E:
    """A compiled expression."""

    sql: str
    cls: Cls
    #: Affinity in comparisons: that of a column or a CAST; None for other expressions.
    affinity: str | None = None
    #: Collation in comparisons; `explicit` when written with COLLATE.
    collation: str | None = None
    explicit: bool = False
    #: The value, when it stands in the statement.
    const: object = NOT_CONST
    #: No brackets needed around `sql`.
    atom: bool = True
    #: The text without a cast, for places where PostgreSQL knows the type from its neighbour.
    bare: str | None = None
    #: A text column of the app: its collation in PostgreSQL is "C" already.
    plain: bool = False
    nullable: bool = True
    #: Text that never looks like a number (a date, a time): numeric affinity leaves it alone.
    no_number: bool = False
    #: The number of the parameter this is, 0 if it is none.
    param: int = 0
    #: A parameter of which nobody told the class: it is taken to be of its neighbour's.
    untold: bool = False

    @property
    def is_const(self) -> bool:
        return self.const is not NOT_CONST

    @property
    def wrapped(self) -> str:
        return self.sql if self.atom else f"({self.sql})"

    @property
    def loose(self) -> str:
        """The text without its own cast."""
        return self.bare if self.bare is not None else self.sql

    def expression(self) -> E:
        """The same value without affinity and collation, as the operators give it."""
        return replace(self, affinity=None, collation=None, explicit=False)


MARK = "\x01"


def mark(number: int | str) -> str:
    """A parameter in the text: its number, or the name of a `Special`."""
    return f"{MARK}{number}{MARK}"


def render(sql: str) -> tuple[str, tuple[str, ...]]:
    """psycopg2's text, and what stands at each `%s`."""
    pieces = sql.split(MARK)
    text = "%s".join(piece.replace("%", "%%") for piece in pieces[::2])
    return text, tuple(pieces[1::2])


def text_literal(value: str) -> str:
    """A string as PostgreSQL's standard strings write it."""
    if MARK in value or "\\" in value:
        body = value.replace("\\", "\\\\").replace("'", "''").replace(MARK, "\\001")
        return f"E'{body}'"
    return "'" + value.replace("'", "''") + "'"


def const(value: object) -> E:
    """A literal."""
    if value is None:
        return E("NULL", Cls.NULL, const=None)
    if isinstance(value, int):
        text = str(int(value))
        if value < 0:
            return E(f"({text})::bigint", Cls.INT, const=value, bare=f"({text})", nullable=False)
        return E(f"{text}::bigint", Cls.INT, const=value, bare=text, nullable=False)
    if isinstance(value, float):
        if value in (float("inf"), float("-inf")):
            text = f"'{'-' if value < 0 else ''}Infinity'"
            return E(f"{text}::double precision", Cls.REAL, const=value, nullable=False)
        text = repr(value) if value >= 0 and not repr(value).startswith("-") else f"({value!r})"
        return E(f"{text}::double precision", Cls.REAL, const=value, bare=text, nullable=False)
    if isinstance(value, str):
        text = text_literal(value)
        return E(f"{text}::text", Cls.TEXT, const=value, bare=text, nullable=False)
    if isinstance(value, bytes):
        return E(f"'\\x{value.hex()}'::bytea", Cls.BLOB, const=value, nullable=False)
    raise TypeError(f"no literal for a {type(value).__name__}")


TRUE = E("TRUE", Cls.BOOL, const=1, nullable=False)
FALSE = E("FALSE", Cls.BOOL, const=0, nullable=False)
NULL = const(None)


def call(name: str, *args: str) -> str:
    return f"{name}({', '.join(args)})"


def as_cls(e: E, cls: Cls) -> E:
    """The same value as another class; only where that loses nothing (NULL to all, BOOL to INT, all to VALUE)."""
    if e.cls is cls:
        return e
    if e.cls is Cls.NULL:
        return replace(e, sql=f"NULL::{PG_NAME[cls]}", cls=cls, bare="NULL")
    if cls is Cls.VALUE:
        return replace(e, sql=call("shadow.v", e.sql), cls=cls, bare=None, atom=True, plain=False)
    if e.cls is Cls.BOOL and cls is Cls.INT:
        if e.is_const:
            return replace(const(e.const), affinity=e.affinity)
        return replace(e, sql=f"{e.wrapped}::int::bigint", cls=cls, bare=f"{e.wrapped}::int", atom=True)
    raise TypeError(f"{e.cls.name} is not {cls.name}")


def adopt(e: E, cls: Cls) -> E:
    """A parameter of untold class beside something of `cls`: taken to be the same. Others stay as they are."""
    if not e.untold or cls in (Cls.NULL, Cls.VALUE):
        return e
    cls = Cls.INT if cls is Cls.BOOL else cls
    return replace(e, sql=f"({e.bare})::{PG_NAME[cls]}", cls=cls, untold=False)


def unify(items: Sequence[E]) -> tuple[Cls, list[E]]:
    """Several values that must be of one PostgreSQL type: the branches of a CASE, the sides of a UNION."""
    cls = common([e.cls for e in items])
    return cls, [as_cls(e, cls) for e in items]


def common(classes: Sequence[Cls]) -> Cls:
    """The class that holds values of all these classes unchanged."""
    found = {c for c in classes if c is not Cls.NULL}
    if not found:
        return Cls.NULL
    if len(found) == 1:
        return found.pop()
    if found == {Cls.BOOL, Cls.INT}:
        return Cls.INT
    return Cls.VALUE


def to_int(e: E) -> E:
    """BOOL as INT; everything else as it is."""
    return as_cls(e, Cls.INT) if e.cls is Cls.BOOL else e


def condition(e: E) -> str:
    """The value as a truth value, NULL where SQLite has NULL."""
    if e.cls is Cls.BOOL:
        return e.sql
    if e.cls is Cls.NULL:
        return "NULL::boolean"
    if e.is_const:
        number = storage.number_prefix(e.const) if isinstance(e.const, str) else e.const
        if isinstance(number, (int, float)):
            return "TRUE" if number != 0 else "FALSE"
    if e.cls in (Cls.INT, Cls.REAL):
        return f"{e.wrapped} <> 0"
    return call("shadow.truth", e.sql)


def condition_wrapped(e: E) -> str:
    text = condition(e)
    simple = (e.cls is Cls.BOOL and e.atom) or text in ("TRUE", "FALSE") or text.startswith("shadow.truth(")
    return text if simple else f"({text})"


def to_text(e: E) -> E:
    """The value as text, as SQLite's `||` and CAST AS TEXT make it."""
    if e.cls is Cls.TEXT:
        return e
    if e.is_const and isinstance(e.const, (int, float)):
        return const(storage.to_text(e.const))
    if e.cls is Cls.NULL:
        return E("NULL::text", Cls.TEXT, const=None, bare="NULL")
    e = to_int(e)
    if e.cls is Cls.INT:
        return E(f"{e.wrapped}::text", Cls.TEXT, nullable=e.nullable)
    return E(call("shadow.text", e.sql), Cls.TEXT, nullable=e.nullable)


def typed_text(e: E) -> str:
    """The text with a type PostgreSQL cannot mistake."""
    return "NULL::text" if e.cls is Cls.NULL else e.sql
