"""The typer app, and what becomes of errors: one line on stderr and an exit code.

0: done, nothing to report. 1: it ran and found something (a mismatch, a closed gate). 2: it could not run.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import typer

from ..errors import ShadowError
from .output import print_json

#: In the order of a migration; `shadow --help` lists them so.
VERBS = (
    "demo",
    "init",
    "backfill",
    "agent",
    "status",
    "verify",
    "mismatches",
    "translate",
    "cutover",
    "rollback",
    "remove",
)

OK, FOUND, COULD_NOT = 0, 1, 2
#: What a shell reports for a command stopped by Ctrl-C.
INTERRUPTED = 130

# typer has carried click as a dependency and inside itself; its public BadParameter leads to UsageError in both.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="shadow",
        help="Move a live Python application from SQLite to PostgreSQL, and back, without stopping it.",
        epilog="Exit codes: 0 ok, 1 found something, 2 could not run. SHADOW_DEBUG=1 shows tracebacks.",
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback()(_version_option)
    for verb in VERBS:
        importlib.import_module(f"{__package__}.{verb}").register(app)
    return app


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command line; never raises for what a person can mend."""
    args = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in args
    try:
        result = build()(args=args, prog_name="shadow", standalone_mode=False)
    except ShadowError as error:
        return _fail(str(error), error.exit_code, as_json)
    except _UsageError as error:
        return _usage(error, as_json)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("stopped by Ctrl-C", INTERRUPTED, as_json)
    except BrokenPipeError:  # `shadow mismatches | head`
        sys.stdout = None
        return OK
    except Exception as error:  # noqa: BLE001 — the last resort of the process, said in one line
        return _unexpected(error, as_json)
    return result if isinstance(result, int) else OK


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as installed

        typer.echo(f"shadow {installed('shadow')}")
        raise typer.Exit(OK)


def _version_option(
    version: bool = typer.Option(
        False, "--version", help="Print the version and leave.", is_eager=True, callback=_print_version
    ),
) -> None:
    """Options of `shadow` itself."""


def _usage(error: Exception, as_json: bool) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "shadow"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    if context is not None and message.startswith(("Missing command", "Usage:")):  # `shadow` alone
        print(context.get_help(), file=sys.stderr)
        return COULD_NOT
    return _fail(f"{message.rstrip('.')}; see `{command} --help`", COULD_NOT, as_json)


def _unexpected(error: Exception, as_json: bool) -> int:
    if os.environ.get("SHADOW_DEBUG"):
        traceback.print_exception(error)
    first_line = (str(error).strip().splitlines() or [""])[0]
    hint = "" if os.environ.get("SHADOW_DEBUG") else "; SHADOW_DEBUG=1 shows the traceback"
    return _fail(f"unexpected {type(error).__name__}: {first_line}{hint}", COULD_NOT, as_json)


def _fail(message: str, code: int, as_json: bool) -> int:
    """Say it once on stderr; with --json the reason is the one object on stdout as well."""
    line = " ".join(message.split())
    print(f"shadow: {line}", file=sys.stderr)
    if as_json:
        print_json({"ok": False, "error": line, "exit_code": code})
    return code
