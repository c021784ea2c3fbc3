"""What becomes of a statement, pair by pair (pairs.sql)."""

from __future__ import annotations

from pathlib import Path

import pytest

from shadow.translate import translate
from tests.unit.translate.translate_schema import catalog

_TYPES = {"int": int, "float": float, "str": str, "bytes": bytes, "None": type(None)}


def _pairs() -> list[tuple[str, str, str, list[str]]]:
    blocks = Path(__file__).with_name("pairs.sql").read_text(encoding="utf-8").strip().split("\n\n")[1:]
    found = []
    for block in blocks:
        remark, sql, *steps = block.split("\n")
        text, _, types = remark.removeprefix("-- ").partition(" | ")
        found.append((text, types, sql.removesuffix(";"), [step.removesuffix(";") for step in steps]))
    return found


@pytest.mark.parametrize(("remark", "types", "sql", "expected"), _pairs(), ids=[p[0][:60] for p in _pairs()])
def test_a_statement_becomes(remark: str, types: str, sql: str, expected: list[str]) -> None:
    param_types: tuple[type, ...] | dict[str, type]
    if "=" in types:
        param_types = {name: _TYPES[kind] for name, kind in (pair.split("=") for pair in types.split())}
    else:
        param_types = tuple(_TYPES[kind] for kind in types.split())
    found = translate(sql, catalog(), param_types=param_types)
    assert found.unsupported is None, remark
    assert [step.sql for step in found.steps] == expected
