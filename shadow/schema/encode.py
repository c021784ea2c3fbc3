"""Rows as COPY's text format, a chunk at a time and column by column: a loop per column, not a call per value.

Each chunk's classes of values are looked at first (a set of types, so it costs next to nothing): what would not come
back unchanged from its column raises `DoesNotFit` and is never turned into something that looks alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..translate.catalog import PgType
from ..values import codec

_NULL = "\\N"
#: What COPY's text format gives a meaning; looked for once in the whole chunk of a column.
_SPECIAL = ("\\", "\n", "\r", "\t")

Encoder = Callable[[Sequence[Any]], Iterable[str]]


def encode(rows: Sequence[Sequence[Any]], encoders: Sequence[Encoder]) -> bytes:
    """The rows as COPY lines. Raises `codec.DoesNotFit`."""
    if not encoders:
        return b"\n" * len(rows)
    columns = [encoder(values) for encoder, values in zip(encoders, zip(*rows, strict=True), strict=True)]
    return ("\n".join(map("\t".join, zip(*columns, strict=True))) + "\n").encode()


def encoder(pg_type: PgType) -> Encoder:
    return _ENCODERS[pg_type]


def _integers(values: Sequence[Any]) -> list[str]:
    _only(int, values, PgType.BIGINT)
    return [_NULL if v is None else str(v) for v in values]


def _reals(values: Sequence[Any]) -> list[str]:
    _only(float, values, PgType.DOUBLE)
    return [_NULL if v is None else repr(v) for v in values]  # shortest digits that come back bit for bit; inf, -0.0


def _booleans(values: Sequence[Any]) -> list[str]:
    _only(int, values, PgType.BOOLEAN)
    if not _BOOLEANS.issuperset(values):
        _refuse(values, PgType.BOOLEAN)
    return [_NULL if v is None else "t" if v else "f" for v in values]


def _blobs(values: Sequence[Any]) -> list[str]:
    _only(bytes, values, PgType.BYTEA)
    return [_NULL if v is None else "\\\\x" + v.hex() for v in values]


def _texts(values: Sequence[Any]) -> list[str]:
    _only(str, values, PgType.TEXT)
    whole = "".join([v for v in values if v is not None])
    if "\0" in whole:
        _refuse(values, PgType.TEXT)
    if not any(mark in whole for mark in _SPECIAL):
        return [_NULL if v is None else v for v in values]
    return [codec.copy_text(v, PgType.TEXT.value) for v in values]


_BOOLEANS = frozenset({0, 1, None})


def _only(kind: type, values: Sequence[Any], pg_type: PgType) -> None:
    if not {kind, type(None)}.issuperset(map(type, values)):
        _refuse(values, pg_type)


def _refuse(values: Sequence[Any], pg_type: PgType) -> None:
    """Raise `DoesNotFit` for the value that does not."""
    for value in values:
        if value is not None:
            codec.check(value, pg_type.value)
    raise AssertionError(f"a chunk that does not fit {pg_type} without a value that does not")


def _mixed(values: Sequence[Any]) -> list[str]:
    return [_mixed_one(v) for v in values]


def _mixed_one(value: Any) -> str:
    """The everyday cases of `codec.copy_text(value, "shadow.value")` written out."""
    if value is None:
        return _NULL
    kind = type(value)
    if kind is int:
        return f"(1,{value},,)"
    if kind is float and 1e-4 < value < 1e15:  # plain digits with a point, in both engines
        return f"(1,{value!r},,)"
    if kind is str and "\\" not in value and '"' not in value and value.isprintable():
        return f'(2,,"{value}",)'
    return codec.copy_text(value, PgType.VALUE.value)


_ENCODERS: dict[PgType, Encoder] = {
    PgType.BIGINT: _integers,
    PgType.DOUBLE: _reals,
    PgType.BOOLEAN: _booleans,
    PgType.BYTEA: _blobs,
    PgType.TEXT: _texts,
    PgType.VALUE: _mixed,
}
