"""SQLite's storage rules: what becomes of a value on its way into a column.

https://www.sqlite.org/datatype3.html, sections 3 and 4. The names are those of `translate.catalog.Affinity`.
"""

from __future__ import annotations

import math
import re

from ..types import SqliteValue

_INT64_MIN = -(2**63)
_INT64_MAX = 2**63 - 1
_WHITESPACE = " \t\n\v\f\r"
# A numeric literal as `sqlite3AtoF` reads it: no hex, no "inf", no "nan", no underscores.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+\Z", re.ASCII)
_NUMBER_PREFIX = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_INTEGER_PREFIX = re.compile(r"[+-]?[0-9]+", re.ASCII)


def of_declared(declared: str) -> str:
    """The affinity of a column from its declared type: the five rules, in their order."""
    upper = declared.upper()
    if "INT" in upper:
        return "integer"
    if "CHAR" in upper or "CLOB" in upper or "TEXT" in upper:
        return "text"
    if "BLOB" in upper or not upper.strip():
        return "blob"
    if "REAL" in upper or "FLOA" in upper or "DOUB" in upper:
        return "real"
    return "numeric"


def apply(value: SqliteValue, affinity: str) -> SqliteValue:
    """What SQLite stores when `value` is put into a column of `affinity`."""
    if value is None or isinstance(value, bytes):
        return value
    if affinity == "text":
        return value if isinstance(value, str) else to_text(value)
    if affinity in ("integer", "numeric"):
        return _numeric(value)
    if affinity == "real":
        number = _numeric(value)
        return float(number) if isinstance(number, int) else number
    return int(value) if isinstance(value, bool) else value


def to_text(value: int | float) -> str:
    """A number as SQLite writes it as text: integers in full, reals with at most 15 significant digits."""
    if isinstance(value, int):
        return str(int(value))
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    text = f"{value or 0.0:.15g}"  # SQLite writes -0.0 without its sign
    mantissa, e, exponent = text.partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return mantissa + e + exponent


def number_of(text: str) -> int | float | None:
    """The number that all of `text` is (spaces around it allowed), or None: what numeric affinity looks for."""
    body = text.strip(_WHITESPACE)
    if not _NUMBER.match(body):
        return None
    if _INTEGER.match(body):
        whole = int(body)
        if _INT64_MIN <= whole <= _INT64_MAX:
            return whole
    return float(body)


def number_prefix(text: str) -> int | float:
    """The longest number at the start of `text`, else 0: what arithmetic and CAST take from text."""
    body = text.lstrip(_WHITESPACE)
    found = _NUMBER_PREFIX.match(body)
    if found is None:
        return 0
    return number_of(found.group()) or 0


def integer_prefix(text: str) -> int:
    """CAST(text AS INTEGER): the digits at its start, saturating at 64 bit."""
    found = _INTEGER_PREFIX.match(text.lstrip(_WHITESPACE))
    return 0 if found is None else max(_INT64_MIN, min(_INT64_MAX, int(found.group())))


def _numeric(value: int | float | str) -> int | float | str:
    if isinstance(value, str):
        number = number_of(value)
        if number is None:
            return value
        value = number
    if isinstance(value, float):
        return _integer_if_equal(value)
    return int(value)


def _integer_if_equal(value: float) -> int | float:
    """A real that is an integer strictly inside 64 bit is stored as one."""
    if value.is_integer() and _INT64_MIN < value < _INT64_MAX:
        return int(value)
    return value
