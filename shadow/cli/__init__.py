"""The command line: one file per verb.

Each verb's module exports `register(app)`. `app.py` puts them together and maps errors to exit codes, `settings.py`
turns options and environment into settings, `output.py` prints for people or as one JSON object. Verbs import what
they run inside the function, so that `shadow --help` and `shadow translate` start fast.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 ok, 1 found something, 2 could not run."""
    from .app import run

    return run(argv)
