"""A row image is JSON; with the column's type it says again what the value was."""

from __future__ import annotations

import pytest

from shadow.errors import TargetError
from shadow.reverse.changes import image


@pytest.mark.parametrize(
    ("json_text", "pg_type", "value"),
    [
        ("1", "bigint", 1),
        ("-9223372036854775808", "bigint", -(2**63)),
        ("1", "double precision", 1.0),
        ("-0", "double precision", -0.0),
        ("1e+300", "double precision", 1e300),
        ('"Infinity"', "double precision", float("inf")),
        ('"NaN"', "double precision", None),
        ('"1"', "text", "1"),
        ('"\\\\x41"', "text", "\\x41"),
        ('"\\\\x41ff"', "bytea", b"A\xff"),
        ("true", "boolean", 1),
        ("false", "boolean", 0),
        ('{"cls":1,"num":5,"txt":null,"blob":null}', "shadow.value", 5),
        ('{"cls":1,"num":5.0,"txt":null,"blob":null}', "shadow.value", 5.0),
        ('{"cls":1,"num":0.00,"txt":null,"blob":null}', "shadow.value", -0.0),
        ('{"cls":1,"num":"-Infinity","txt":null,"blob":null}', "shadow.value", float("-inf")),
        ('{"cls":2,"num":null,"txt":"5","blob":null}', "shadow.value", "5"),
        ('{"cls":3,"num":null,"txt":null,"blob":"\\\\x05"}', "shadow.value", b"\x05"),
        ("null", "shadow.value", None),
        ("null", "bigint", None),
    ],
)
def test_a_value_is_read_with_its_columns_type(json_text: str, pg_type: str, value: object) -> None:
    """Value and type, the sign of zero included."""
    found = image(f'{{"c":{json_text}}}', {"c": pg_type})["c"]
    assert (type(found), repr(found)) == (type(value), repr(value))


def test_a_type_that_shadow_never_chose_is_named() -> None:
    """Somebody altered a column by hand: stop, do not guess."""
    with pytest.raises(TargetError, match="jsonb"):
        image('{"c":{}}', {"c": "jsonb"})
