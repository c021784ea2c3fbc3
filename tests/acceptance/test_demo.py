"""`shadow demo`, short and with less load: the whole life of a migration through the command line, real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from shadow.demo.report import Figures, promises

#: Less of everything than `make demo`; promises that are counts of reads shrink with the pace.
SHORT = ("--load", "0.5", "--pace", "0.25")


def read(figures: dict[str, Any]) -> Figures:
    return Figures(**figures)


def environment() -> dict[str, str]:
    """As a person's shell: nothing of shadow set."""
    return {n: v for n, v in os.environ.items() if not n.startswith(("SHADOW_", "SQLITE_", "DATABASE_"))}


@pytest.mark.timeout(300)
def test_a_short_demo_keeps_every_promise(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shadow.cli", "demo", "--json", "--directory", str(tmp_path / "demo"), *SHORT],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
    )
    figures = json.loads(done.stdout)
    broken = [promise.what for promise in promises(read(figures), reads_compared_min=1250) if not promise.kept]
    # How long the app waits is for `make demo`: here other tests take the cores at the same time.
    assert set(broken) <= {"longest call, cutovers", "longest call, rollback"}, done.stderr
    assert figures["failure"] == "", done.stderr
    assert done.returncode == (1 if broken else 0)
    assert (figures["cutovers"], figures["rollbacks"]) == (2, 1)
    assert figures["shapes"] > 50


def test_a_demo_that_is_interrupted_leaves_no_process_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "shadow.demo.script", "--json", "--directory", str(tmp_path / "demo")],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stderr is not None
    for line in demo.stderr:
        if "app under load" in line:
            break
    started = psutil.Process(demo.pid).children(recursive=True)
    assert len([process for process in started if "shadow.demo.client" in process.cmdline()]) == 5
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=60)
    assert demo.returncode == 130
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive
    assert not (tmp_path / "demo" / "postgres" / "postmaster.pid").exists(), "PostgreSQL was left running"
