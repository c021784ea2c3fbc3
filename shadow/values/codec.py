"""A stored SQLite value on its way into a PostgreSQL column, and back, unchanged or not at all.

`pg_type` is one of the strings of `translate.catalog.PgType`. `shadow.value`, the type of columns of mixed content, is
a composite `(cls smallint, num numeric, txt text COLLATE "C", blob bytea)`: `cls` is 1 for numbers, 2 for text, 3 for
blobs, so that PostgreSQL's own row comparison orders as SQLite does across types; a real is told from an integer by
the scale of `num` ('5.0' against '5', equal to each other as in SQLite). SQLite's NULL is SQL's NULL.
"""

from __future__ import annotations

import math
from decimal import Decimal

from ..types import SqliteValue

_INT64_MIN = -(2**63)
_INT64_MAX = 2**63 - 1
#: From here to 64 bit a float is an integer that others may be equal to: its digits are written in full.
_EXACT_FROM = 2.0**53
#: numeric has no negative zero; its scale tells it from 0.0, to which it is equal.
_NEGATIVE_ZERO = "0.00"


class DoesNotFit(ValueError):
    """A value would not come back unchanged from a column of that type; the value itself is never in the message."""

    def __init__(self, kind: str, pg_type: str) -> None:
        super().__init__(
            f"{kind} does not fit a column of type {pg_type}; profile the column again (type shadow.value)"
        )
        self.kind = kind
        self.pg_type = pg_type


class Mixed:
    """A parameter of type `shadow.value`; psycopg2 asks it for its literal through `__conform__`."""

    __slots__ = ("value",)

    def __init__(self, value: int | float | str | bytes) -> None:
        self.value = value

    def __conform__(self, protocol: object) -> Mixed:
        return self

    def getquoted(self) -> bytes:
        return _quote(value_text(self.value)) + b"::shadow.value"

    def __repr__(self) -> str:
        return f"Mixed({type(self.value).__name__})"


def to_target(value: SqliteValue, pg_type: str) -> object:
    """The psycopg2 parameter for a stored value. Raises `DoesNotFit`."""
    if value is None:
        return None
    check(value, pg_type)
    if pg_type == "shadow.value":
        return Mixed(value)
    if pg_type == "boolean":
        return bool(value)
    return value


def from_target(value: object, pg_type: str) -> SqliteValue:
    """The value as SQLite would give it, from what psycopg2 gave.

    For `shadow.value` the connection must cast with `parse_value` (`postgres.connect` does).
    """
    if value is None or isinstance(value, (str, float, bytes)):
        return value
    if isinstance(value, int):
        return float(value) if pg_type == "double precision" else int(value)
    if isinstance(value, (memoryview, bytearray)):
        return bytes(value)
    raise TypeError(f"psycopg2 gave a {type(value).__name__} for a column of type {pg_type}; register shadow's casters")


def copy_text(value: SqliteValue, pg_type: str) -> str:
    r"""The value in COPY's text format (`\N` for NULL). Raises `DoesNotFit`."""
    if value is None:
        return "\\N"
    check(value, pg_type)
    if pg_type == "bigint":
        return str(int(value))
    if pg_type == "double precision":
        return _float_text(value)  # type: ignore[arg-type]
    if pg_type == "boolean":
        return "t" if value else "f"
    if pg_type == "bytea":
        return "\\\\x" + value.hex()  # type: ignore[union-attr]
    return _copy_escape(value if pg_type == "text" else value_text(value))  # type: ignore[arg-type]


def check(value: int | float | str | bytes, pg_type: str) -> None:
    """Raise `DoesNotFit` unless `value` comes back unchanged from a column of `pg_type`."""
    if pg_type == "text":
        fits = isinstance(value, str) and "\0" not in value
    elif pg_type == "bigint":
        fits = isinstance(value, int) and _INT64_MIN <= value <= _INT64_MAX
    elif pg_type == "double precision":
        fits = isinstance(value, float)
    elif pg_type == "bytea":
        fits = isinstance(value, bytes)
    elif pg_type == "boolean":
        fits = isinstance(value, int) and value in (0, 1)
    elif pg_type == "shadow.value":
        fits = "\0" not in value if isinstance(value, str) else True
        if isinstance(value, int):
            fits = _INT64_MIN <= value <= _INT64_MAX
    else:
        raise ValueError(f"{pg_type} is not a type of translate.catalog.PgType")
    if isinstance(value, float) and math.isnan(value):
        fits = False
    if fits and isinstance(value, str) and not value.isascii():
        fits = _encodable(value)
    if not fits:
        raise DoesNotFit(_kind(value), pg_type)


def value_text(value: int | float | str | bytes) -> str:
    """The text form of a `shadow.value`, as PostgreSQL reads a composite."""
    if isinstance(value, str):
        return f"(2,,{_composite_quote(value)},)"
    if isinstance(value, bytes):
        return f'(3,,,"\\\\x{value.hex()}")'
    if isinstance(value, int):
        return f"(1,{int(value)},,)"
    return f"(1,{_numeric_text(value)},,)"


def parse_value(text: str | None, cursor: object = None) -> SqliteValue:
    """A `shadow.value` as PostgreSQL writes it, to Python; usable as the function of a psycopg2 typecaster."""
    if text is None:
        return None
    if text.startswith("(1,"):
        number = text[3 : text.index(",", 3)]
        if number == _NEGATIVE_ZERO:
            return -0.0
        if number in ("Infinity", "-Infinity") or "." in number:
            return float(number)
        return int(number)
    if text.startswith("(2,,"):
        return _composite_unquote(text[4:-2])
    if text.startswith("(3,,,"):
        return bytes.fromhex(_composite_unquote(text[5:-1])[2:])
    raise ValueError("a shadow.value of unknown class; is schema shadow of another version? run `shadow init`")


def _kind(value: object) -> str:
    if isinstance(value, str):
        return (
            "text with a NUL character" if "\0" in value else "text" if _encodable(value) else "text that is not UTF-8"
        )
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else "a real"
    if isinstance(value, int):
        return "an integer" if _INT64_MIN <= value <= _INT64_MAX else "an integer beyond 64 bit"
    return "a blob"


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _float_text(value: float) -> str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def _numeric_text(value: float) -> str:
    """A real as numeric text with at least one digit after the point; Python's shortest form is unique per float."""
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0.0 and math.copysign(1.0, value) < 0:
        return _NEGATIVE_ZERO
    if abs(value) >= _EXACT_FROM and _INT64_MIN <= value < 2.0**63:
        return f"{int(value)}.0"
    text = repr(value)
    if "e" not in text:
        return text
    text = format(Decimal(text), "f")
    return text if "." in text else text + ".0"


def _composite_quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '""') + '"'


def _composite_unquote(text: str) -> str:
    if not text.startswith('"'):
        return text
    return text[1:-1].replace('""', '"').replace("\\\\", "\\")


def _quote(text: str) -> bytes:
    """A string literal that reads the same whatever `standard_conforming_strings` says."""
    quoted = text.replace("'", "''")
    if "\\" in quoted:
        return b" E'" + quoted.replace("\\", "\\\\").encode() + b"'"
    return b"'" + quoted.encode() + b"'"


def _copy_escape(text: str) -> str:
    if not any(c in text for c in "\\\n\r\t\b\f\v"):
        return text
    for plain, escaped in _COPY_ESCAPES:
        text = text.replace(plain, escaped)
    return text


_COPY_ESCAPES = (
    ("\\", "\\\\"),
    ("\n", "\\n"),
    ("\r", "\\r"),
    ("\t", "\\t"),
    ("\b", "\\b"),
    ("\f", "\\f"),
    ("\v", "\\v"),
)
