"""`shadow demo`, short and with less load: the whole life of a migration through the command line, real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

#: Less of everything than `make demo`; promises that are counts of reads shrink with the pace.
SHORT = ("--load", "0.6", "--pace", "0.4")


def environment() -> dict[str, str]:
    """As a person's shell: nothing of shadow set."""
    return {n: v for n, v in os.environ.items() if not n.startswith(("SHADOW_", "SQLITE_", "DATABASE_"))}


@pytest.mark.timeout(240)
def test_a_short_demo_keeps_every_promise(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shadow.cli", "demo", "--json", "--directory", str(tmp_path / "demo"), *SHORT],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=220,
    )
    figures = json.loads(done.stdout)
    assert figures["ok"], done.stderr
    assert done.returncode == 0
    assert figures["app_errors"] == figures["lost_writes"] == figures["rows_different_at_end"] == 0
    assert figures["found_divergences"] == figures["repaired_rows"] == 3
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
