"""Writes docs/reference/ from the code: `python -m shadow.cli.reference [--check] [FOLDER]`.

cli.md from the typer app, configuration.md from the settings of app and agent, metrics.md from `shadow.metrics`. A test
runs it with --check, so these pages cannot go stale.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer.main

from ..config import Settings
from ..metrics import METRICS
from .app import VERBS, build

#: For settings whose name says it all in the code.
_MEANINGS = {
    "database_type": "What an app process does with the file; see below.",
    "pg_mode": "How app transactions behave while PostgreSQL is primary: `concurrent` or `serial`.",
    "http_port": "Port on which the agent serves HTTP; 0: any free one.",
    "repair_interval_seconds": "How often the agent looks for dirty tables, in seconds.",
}

_GENERATED = "<!-- Written by `python -m shadow.cli.reference`; change the code, not this page. -->\n"

#: Which variable each setting of an app process is read from (`shadow.config`).
VARIABLES = {
    "sqlite_path": "SQLITE_PATH",
    "database_url": "DATABASE_URL",
    "database_type": "DATABASE_TYPE",
    "pg_schema": "SHADOW_PG_SCHEMA",
    "pg_mode": "SHADOW_PG_MODE",
    "sample_rate": "SHADOW_SAMPLE_RATE",
    "samples_per_second_max": "SHADOW_SAMPLES_PER_SECOND_MAX",
    "pool_max": "SHADOW_POOL_MAX",
    "switch_wait_seconds": "SHADOW_SWITCH_WAIT_SECONDS",
}


def metrics_page() -> str:
    lines = [
        "# Metrics\n",
        _GENERATED,
        "What the agent exports at `/metrics`. The dashboard and the alerts of `dashboards/` use these names and no"
        " others; what to do about an alert stands in the [runbook](../runbook.md).\n",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {_cell(metric.help)} |")
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    lines = [
        "# Configuration\n",
        _GENERATED,
        "Everything is read from the environment, in an app process at its first `connect`. `shadow.configure(...)`"
        " takes the same settings by the names in the second column, once per file. The command line's options"
        " `--sqlite`, `--database-url` and `--pg-schema` stand before the environment.\n",
        "## Every process\n",
        "| variable | `configure()` | default | meaning |",
        "|---|---|---|---|",
    ]
    comments = field_comments(Settings)
    for field in dataclasses.fields(Settings):
        lines.append(
            f"| `{VARIABLES[field.name]}` | `{field.name}` | {_default(field)} | {_cell(comments[field.name])} |"
        )
    lines += [_DATABASE_TYPES, "## The agent\n", "| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {default} | {_cell(meaning)} |" for name, default, meaning in _agent_variables()]
    return "\n".join(lines) + "\n"


_DATABASE_TYPES = """
`DATABASE_TYPE`:
- `sqlite` (default without `DATABASE_URL`): pass-through, no journal. Refuses to write when the flag says that
  PostgreSQL is primary.
- `shadow` (default with `DATABASE_URL`): follow the flag.
- `postgres`: PostgreSQL must be primary. A new empty pair starts there; otherwise the process refuses to start and
  says which command to run.
"""


def _default(field: dataclasses.Field[Any]) -> str:
    if field.name == "database_type":
        return "see below"
    if field.default is dataclasses.MISSING:
        return "none: must be set" if field.name == "sqlite_path" else "none"
    return f"`{field.default}`"


def field_comments(cls: type) -> dict[str, str]:
    """The `#:` comment above each field, '' where there is none."""
    found: dict[str, str] = {}
    pending: list[str] = []
    for raw in inspect.getsource(cls).splitlines():
        line = raw.strip()
        if line.startswith("#:"):
            pending.append(line[2:].strip())
        elif ":" in line and line.partition(":")[0].isidentifier():
            found[line.partition(":")[0]] = " ".join(pending)
            pending = []
        elif line:
            pending = []
    return {name: comment or _MEANINGS.get(name, "") for name, comment in found.items()}


def _agent_variables() -> Iterator[tuple[str, str, str]]:
    from ..agent.settings import AgentSettings

    comments = field_comments(AgentSettings)
    for name, field in AgentSettings.model_fields.items():
        default = "none" if field.default is None else f"`{field.default}`"
        yield f"SHADOW_{name.upper()}", default, comments.get(name, "")


def cli_page() -> str:
    group: Any = typer.main.get_command(build())
    lines = [
        "# Command line\n",
        _GENERATED,
        "`shadow VERB [OPTIONS]`. Exit codes: 0 ok, 1 found something (a mismatch, a closed gate), 2 could not run."
        " Every error is one line on stderr; `SHADOW_DEBUG=1` adds the traceback of an unexpected one. With `--json`"
        " there is one JSON object on stdout, an error included.\n",
        "| verb | does |",
        "|---|---|",
    ]
    for verb in VERBS:
        lines.append(f"| [`{verb}`](#shadow-{verb}) | {_cell(group.commands[verb].get_short_help_str(200))} |")
    for verb in VERBS:
        lines += _verb(verb, group.commands[verb])
    return "\n".join(lines) + "\n"


def _verb(name: str, command: Any) -> Iterator[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    usage = " ".join(["shadow", name, "[OPTIONS]", *(str(p.metavar or p.name.upper()) for p in arguments)])
    yield f"\n## shadow {name}\n"
    yield f"`{usage}`\n"
    yield from _help_text(command.help or "")
    yield "| option | meaning |"
    yield "|---|---|"
    for param in options:
        spelled = ", ".join(f"`{o}`" for o in [*param.opts, *param.secondary_opts])
        takes = "" if param.is_flag else f" {_takes(param)}"
        default = (
            f" Default: `{param.default}`."
            if param.show_default is not False and param.default not in (None, False, True, ())
            else ""
        )
        yield f"| {spelled}{takes} | {_cell((param.help or '') + default)} |"


def _takes(param: Any) -> str:
    return str(param.metavar or "VALUE")


def _help_text(text: str) -> Iterator[str]:
    """The docstring; paragraphs after `\\b` are examples and keep their lines."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            body = paragraph.lstrip("\b").strip("\n")
            yield f"```\n{body}\n```\n"
        else:
            yield " ".join(paragraph.split()) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "configuration.md": configuration_page,
    "metrics.md": metrics_page,
}


def main(argv: Sequence[str]) -> int:
    """Write the pages, or with --check say which are stale."""
    folders = [a for a in argv if not a.startswith("--")]
    folder = Path(folders[0]) if folders else Path(__file__).parents[2] / "docs" / "reference"
    stale = []
    for name, page in PAGES.items():
        path, text = folder / name, page()
        if "--check" in argv:
            if not path.exists() or path.read_text("utf-8") != text:
                stale.append(name)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for name in stale:
        print(f"docs/reference/{name} is stale; run `python -m shadow.cli.reference`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
