"""JSON of anything a report may hold: it never fails and never becomes something a reader refuses."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shadow.control.jsonable import dumps, jsonable
from shadow.control.responses import JsonResponse
from shadow.types import Side


@dataclass(frozen=True, slots=True)
class Inner:
    at: datetime.datetime
    side: Side


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x00\xff", {"b64": "AP8="}),
        (memoryview(b"a"), {"b64": "YQ=="}),
        (Decimal("1.10"), "1.10"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC), "2026-01-02T03:04:05+00:00"),
        (datetime.timedelta(seconds=1.5), 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (True, True),
        (2**70, 2**70),
        (Side.POSTGRES, "postgres"),
        (Colour.RED, 1),
        ({Side.SQLITE: (1, None)}, {"sqlite": [1, None]}),
        ({1: {2}}, {"1": [2]}),
        (Inner(datetime.datetime(2026, 1, 2), Side.SQLITE), {"at": "2026-01-02T00:00:00", "side": "sqlite"}),
        (Path("a"), "a"),
        ("\ud800 \0 é", "\ud800 \0 é"),
    ],
)
def test_each_kind_of_value_has_one_form(value: object, expected: object) -> None:
    assert json.loads(dumps(value)) == expected


def test_a_value_that_holds_itself_ends() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert dumps(loop)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
    | st.binary() | st.decimals() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.binary(), inner) | st.tuples(inner),
    max_leaves=20,
)  # fmt: skip


# A busy machine is no reason to fail.
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(anything)
def test_whatever_comes_the_response_is_valid_json_in_ascii(value: object) -> None:
    body = JsonResponse(value).body
    assert bytes(body).isascii()
    assert json.loads(bytes(body)) == json.loads(json.dumps(jsonable(value)))
