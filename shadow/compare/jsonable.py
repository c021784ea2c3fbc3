"""Results as JSON that PostgreSQL's jsonb and a browser take, with nothing lost that tells two values apart.

What JSON has no form for is written as an object: {"b64": ...} a blob, {"int": "..."} beyond 2**53, {"float": "inf"},
{"text": ..., "escaped": true} text with NUL or lone surrogates, {"text": ..., "length": n} text cut short.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_JS_INTEGER_MAX = 2**53 - 1
_TEXT_CHARS_MAX = 2_000
_BLOB_BYTES_MAX = 1_500


def value(item: object) -> Json:
    """One value of a row or parameter."""
    if item is None or isinstance(item, bool):
        return item
    if isinstance(item, int):
        return int(item) if abs(item) <= _JS_INTEGER_MAX else {"int": str(item)}
    if isinstance(item, float):
        # 1.0 and 1 differ for the app; JSON readers may not keep them apart.
        return {"float": repr(item)} if not math.isfinite(item) or item.is_integer() else item
    if isinstance(item, str):
        return _text(item)
    if isinstance(item, bytes | bytearray | memoryview):
        raw = bytes(item)
        shown: dict[str, Json] = {"b64": base64.b64encode(raw[:_BLOB_BYTES_MAX]).decode()}
        if len(raw) > _BLOB_BYTES_MAX:
            shown["length"] = len(raw)
        return shown
    return {"type": type(item).__name__, "text": str(item)[:_TEXT_CHARS_MAX]}


def row(values: Sequence[object]) -> list[Json]:
    return [value(item) for item in values]


def params(given: Sequence[object] | Mapping[str, object]) -> Json:
    """Bound parameters: a list, or an object when they are named."""
    if isinstance(given, Mapping):
        return {str(name): value(item) for name, item in given.items()}
    return row(given)


def _text(text: str) -> Json:
    cut = text[:_TEXT_CHARS_MAX]
    clean = cut.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
    shown: dict[str, Json] = {"text": clean}
    if clean != cut:
        shown["escaped"] = True
    if len(text) > _TEXT_CHARS_MAX:
        shown["length"] = len(text)
    return clean if len(shown) == 1 else shown
