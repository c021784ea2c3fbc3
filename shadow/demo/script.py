"""`shadow demo`: the whole life of a migration on real parts, and what it measured.

The steps are functions of `steps`, in the order of `LIFE`; each gives the figures for its line. The judge is a program
of its own (`judge.py`). Exit code 0 only if every promise of the closing table was kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from ..errors import ShadowError
from . import steps
from .load import USUAL_LOAD, ClientFailed, Role
from .report import READS_COMPARED_MIN, Figures, Reporter, conclude, print_json
from .state import Demo

LIFE: tuple[tuple[str, Callable[[Demo], str]], ...] = (
    ("PostgreSQL", steps.start_postgres),
    ("old data", steps.old_data),
    ("app under load", steps.start_load),
    ("init", steps.init),
    ("agent", steps.start_agent),
    ("backfill", steps.backfill),
    ("new app release", steps.deploy),
    ("shadowing", steps.shadowing),
    ("three divergences", steps.injections),
    ("verify --repair", steps.repair),
    ("kill -9 the agent", steps.kill_agent),
    ("PostgreSQL stop, start", steps.restart_postgres),
    ("every shape compared", steps.cover),
    ("verify", steps.verify_clean),
    ("cutover", steps.cutover),
    ("on PostgreSQL", steps.on_postgres),
    ("rollback", steps.rollback),
    ("back on SQLite", steps.on_sqlite),
    ("cutover again", steps.cutover_again),
    ("on PostgreSQL", steps.on_postgres),
    ("load paused", steps.drain),
    ("verify", steps.final_verify),
    ("judge", steps.judge),
)


def run(directory: Path, reporter: Reporter, *, roles: tuple[Role, ...], pace: float, keep: bool) -> Figures:
    """The whole life; never raises for what a step may say, the figures hold the failure."""
    figures = Figures()
    demo = Demo(directory, figures, roles, pace, reporter.note)
    try:
        for name, step in LIFE:
            reporter.begin(name)
            reporter.end(step(demo))
        steps.count(demo)
    except Exception as error:  # noqa: BLE001 -- whatever it was, the table and the JSON say so
        expected = isinstance(error, (ShadowError, ClientFailed))
        figures.failure = ("" if expected else f"{type(error).__name__}: ") + " ".join(str(error).split())
        reporter.end(f"FAILED: {figures.failure}")
        if not expected:
            (directory / "traceback.txt").write_text("".join(traceback.format_exception(error)))
        steps.count_what_there_is(demo)
    finally:
        figures.seconds = reporter.seconds
        conclude(figures, demo.reads_compared_min)
        if keep and not figures.failure:
            linger(demo, reporter)
        demo.end()
    return figures


def linger(demo: Demo, reporter: Reporter) -> None:
    """Leave everything running for a person, until Ctrl-C."""
    world = demo.world
    reporter.end("everything keeps running; Ctrl-C ends it")
    reporter.note(
        f"live page    {world.url}/\nmetrics      {world.url}/metrics\nAPI          {world.url}/api/v1/status"
    )
    reporter.note(f"PostgreSQL   {world.postgres.dsn}\nSQLite       {world.sqlite_path}\nlogs         {world.logs}")
    reporter.note("to type commands: " + " ".join(f"{name}={value!r}" for name, value in world.environment.items()))
    demo.load.run()
    try:
        signal.pause()
    except KeyboardInterrupt:
        demo.load.pause()


def main(argv: list[str] | None = None) -> int:
    options = _options(argv)
    reporter = Reporter(sys.stderr if options.json else sys.stdout)
    signal.signal(signal.SIGTERM, _interrupt)
    directory = Path(options.directory or tempfile.mkdtemp(prefix="shadow-demo-"))
    # PostgreSQL runs as a user of its own when we are root, and must get at its directory.
    directory.mkdir(parents=True, exist_ok=True)
    os.chmod(directory, 0o755)
    roles = tuple(Role(r.role, r.processes, r.per_second * options.load) for r in USUAL_LOAD)
    try:
        figures = run(directory, reporter, roles=roles, pace=options.pace, keep=options.keep)
    except KeyboardInterrupt:
        reporter.end("stopped by Ctrl-C")
        return 130
    finally:
        # A failed demo leaves its logs and databases for whoever looks into it.
        finished = sys.exc_info()[0] is None
    minimum = round(READS_COMPARED_MIN * options.pace)
    reporter.table(figures, minimum)
    if figures.ok and not options.directory:
        shutil.rmtree(directory, ignore_errors=True)
    elif not figures.ok:
        reporter.note(f"logs and databases are left in {directory}")
    if options.json:
        print_json(figures)
    return 0 if figures.ok and finished else 1


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="shadow demo", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout; the lines go to stderr")
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    parser.add_argument("--directory", help="work here instead of in a temporary directory, and leave it there")
    parser.add_argument("--load", type=float, default=1.0, help="calls per second, as a factor")
    parser.add_argument("--pace", type=float, default=1.0, help="how long each phase takes, as a factor")
    return parser.parse_args(argv)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
