"""Anything a report may hold, as JSON that every reader takes: used by the HTTP API and by `--json`.

bytes become {"b64": ...} as in `compare.jsonable`, Decimal its text, times ISO 8601, NaN and infinities their names
(JSON has none), lone surrogates stay escaped. A dataclass becomes an object of its fields.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum

_DEPTH_MAX = 32


def jsonable(value: object, depth: int = 0) -> object:
    """`value` in terms of dict, list, str, int, float, bool and None."""
    if value is None or isinstance(value, bool | str):
        return str.__str__(value) if isinstance(value, str) else value
    if isinstance(value, Enum):
        return jsonable(value.value, depth)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return {"b64": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if depth >= _DEPTH_MAX:
        return str(value)
    return _container(value, depth + 1)


def _container(value: object, depth: int) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name), depth) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_key(k): jsonable(v, depth) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((jsonable(v, depth) for v in value), key=repr)
    if isinstance(value, Iterable):
        return [jsonable(v, depth) for v in value]
    return str(value)


def _key(key: object) -> str:
    if isinstance(key, Enum):
        return str(key.value)
    return key if isinstance(key, str) else str(key)


def dumps(value: object, *, indent: int | None = None) -> str:
    """JSON text in ASCII: valid UTF-8 whatever the strings hold."""
    return json.dumps(jsonable(value), ensure_ascii=True, allow_nan=False, indent=indent)
