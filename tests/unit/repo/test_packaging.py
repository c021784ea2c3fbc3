"""What is shipped fits together: versions, names, the files that code reads beside itself."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_backends_requirements_name_the_wheel_of_this_version() -> None:
    lines = (ROOT / "backend_patch" / "requirements-shadow.txt").read_text("utf-8").splitlines()
    version = PROJECT["project"]["version"]
    assert [line for line in lines if line and not line.startswith("#")] == [
        f"./wheels/shadow-{version}-py3-none-any.whl"
    ]


def test_the_changelog_opens_with_this_version() -> None:
    heads = [line for line in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines() if line.startswith("## ")]
    assert heads[0].startswith(f"## {PROJECT['project']['version']}")


def test_every_file_beside_the_code_is_of_a_kind_that_is_packaged() -> None:
    kinds = {pattern.removeprefix("*") for pattern in PROJECT["tool"]["setuptools"]["package-data"]["*"]}
    left_out = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "shadow").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and path.suffix not in kinds and path.name not in kinds
    ]
    assert left_out == []


def test_readme_opens_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert text.index("make demo") < text.index("make test") < 700
    targets = [line.partition(":")[0] for line in (ROOT / "Makefile").read_text("utf-8").splitlines()]
    assert {"demo", "test"} <= set(targets)
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
