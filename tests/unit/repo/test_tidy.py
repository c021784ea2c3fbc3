"""The tree stays tidy: what every file keeps to, whoever adds one."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT_SUFFIXES = {
    ".py", ".sql", ".md", ".toml", ".yml", ".yaml", ".json", ".html", ".css", ".js", ".txt", ".sh", ".svg", ".pml", "",
}  # fmt: skip
#: 80 to 400 is the habit; beyond this a module has more than one subject.
MODULE_LINES_MAX = 1000


def tracked(pattern: str = "") -> list[Path]:
    """Files of the repository, new ones included, ignored ones not; without git (a plain copy) those on disk."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        files = [ROOT / line for line in listed.stdout.splitlines()]
    else:
        files = [p for p in ROOT.rglob("*") if not any(part in (".venv", "__pycache__") for part in p.parts)]
    return [p for p in files if p.is_file() and p.match(pattern or "*")]


def modules() -> list[Path]:
    return [p for p in tracked("*.py") if p.is_relative_to(ROOT / "shadow")]


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(p.relative_to(ROOT)) for p in modules() if not ast.get_docstring(ast.parse(p.read_text("utf-8")))]
    assert silent == []


def test_every_test_module_says_what_it_proves() -> None:
    tests = [p for p in tracked("test_*.py") if p.is_relative_to(ROOT / "tests")]
    silent = [str(p.relative_to(ROOT)) for p in tests if not ast.get_docstring(ast.parse(p.read_text("utf-8")))]
    assert silent == []


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {p.parent for p in modules()}
    assert [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").exists()] == []


def test_no_module_is_too_long_to_read() -> None:
    long = [str(p.relative_to(ROOT)) for p in modules() if p.read_text("utf-8").count("\n") > MODULE_LINES_MAX]
    assert long == []


# Built from pieces, so that this file does not match itself.
_MACHINE_PATH = re.compile(
    "|".join(("/ho" + r"me/\w", "/Us" + r"ers/\w", "/ro" + r"ot/\w", "/wo" + r"rk/\w", r"[A-Z]:\\Us" + "ers"))
)


def test_no_path_of_somebodys_machine_is_left_in_a_file() -> None:
    found = []
    for path in tracked():
        if path.suffix not in TEXT_SUFFIXES:
            continue
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
            if _MACHINE_PATH.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert found == []


def test_no_bare_except_and_no_skipped_test() -> None:
    found = []
    for path in tracked("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: bare except")
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("skip", "skipif", "xfail")
                and path.name.startswith("test_")
            ):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.attr}")
    assert found == []


def test_no_mock_of_a_database() -> None:
    """Tests run against real databases; `mock` may stand in for nothing that speaks SQL."""
    found = [
        str(p.relative_to(ROOT))
        for p in tracked("test_*.py")
        if any(
            isinstance(node, ast.ImportFrom | ast.Import)
            and any("mock" in name.name for name in node.names) | ("mock" in (getattr(node, "module", "") or ""))
            for node in ast.walk(ast.parse(p.read_text("utf-8")))
        )
    ]
    assert found == []


@pytest.mark.parametrize("page", sorted(p for p in tracked("*.md")), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        if not other.exists() or (anchor and other.suffix == ".md" and anchor not in anchors(other)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of headings."""
    heads = re.findall(r"^#+ +(.+?)\s*$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
