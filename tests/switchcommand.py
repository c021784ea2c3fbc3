"""`python switchcommand.py cutover|rollback SQLITE_PATH DSN [drain_timeout]`: a switch that a test can kill."""

from __future__ import annotations

import json
import sys

from shadow.config import configure
from shadow.cutover.rollback import rollback
from shadow.cutover.status import to_json
from shadow.cutover.switch import cutover


def main(verb: str, path: str, dsn: str, drain_timeout: str = "2.0") -> None:
    settings = configure(sqlite_path=path, database_url=dsn)
    if verb == "cutover":
        outcome = cutover(
            settings, drain_timeout=float(drain_timeout), force_gates=("verify", "coverage"), reason="test"
        )
    else:
        outcome = rollback(settings, drain_timeout=float(drain_timeout))
    print(json.dumps(to_json(outcome)))


if __name__ == "__main__":
    main(*sys.argv[1:])
