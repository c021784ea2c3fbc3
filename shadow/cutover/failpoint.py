"""Named steps at which a test can kill, stop or fail this process. Does nothing unless SHADOW_FAILPOINT is set.

`SHADOW_FAILPOINT=cutover.drained=kill`: kill -9 oneself there. `=stop`: SIGSTOP. `=fail`: raise. Step names are those
of docs/decisions/0001-flag-and-commit-points.md.
"""

from __future__ import annotations

import os
import signal

_VARIABLE = "SHADOW_FAILPOINT"


class FailpointError(RuntimeError):
    """A test asked for a failure here."""


def reach(step: str) -> None:
    """Say that `step` has been reached."""
    wanted = os.environ.get(_VARIABLE)
    if not wanted:
        return
    name, _, action = wanted.partition("=")
    if name != step:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "fail":
        raise FailpointError(f"failpoint {step}")
    else:
        raise AssertionError(f"{_VARIABLE}: unknown action {action!r}")
