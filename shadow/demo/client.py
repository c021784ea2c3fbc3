"""One process of the app under load: `python -m shadow.demo.client --role writer --name w1 --log w1.jsonl`.

Takes commands on stdin, one word a line, and answers each with one JSON line on stdout:
    run      go on (a client starts paused, with its rows made)
    pause    answered when no call is under way any more
    deploy   run the migrations of the app's next release
    totals   what was done so far
    stop     close the book and end; so does the end of stdin, when whoever started us is gone
It knows nothing of shadow: the environment says which database the app's `sqlite3` leads to.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from .app import database, migrations
from .ledger import Ledger
from .reads import READS
from .session import Action, Deck, Session
from .writes import WORK, WRITES

#: A client that fell behind does not hammer the database to make up for it.
_BEHIND_SECONDS_MAX = 0.25

DECKS: dict[str, list[Action]] = {"reader": READS, "writer": WRITES, "worker": WORK, "mixed": READS + WRITES + WORK}


class Client:
    """Deals actions at a pace until told otherwise."""

    def __init__(self, session: Session, deck: Deck, per_second: float) -> None:
        self._session = session
        self._deck = deck
        self._interval = 1.0 / per_second
        self._commands: queue.SimpleQueue[str] = queue.SimpleQueue()

    def run(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        running, due = False, time.monotonic()
        while True:
            command = self._next_command(due if running else None)
            if command is None:
                due = max(due + self._interval, time.monotonic() - _BEHIND_SECONDS_MAX)
                act(self._deck.deal(), self._session)
                continue
            if command == "stop":
                answer("stop", **self._session.ledger.totals())
                return
            if command in ("run", "pause"):
                running, due = command == "run", time.monotonic()
                answer(command)
            elif command == "deploy":
                answer(command, applied=deploy(self._session))
            else:
                answer(command, rounds=self._deck.rounds, **self._session.ledger.totals())

    def _next_command(self, due: float | None) -> str | None:
        """Wait for a command, at most until the next call is due; None: it is due."""
        try:
            if due is None:
                return self._commands.get()
            wait = due - time.monotonic()
            return self._commands.get(timeout=wait) if wait > 0 else self._commands.get_nowait()
        except queue.Empty:
            return None

    def _listen(self) -> None:
        for line in sys.stdin:
            self._commands.put(line.strip())
        self._commands.put("stop")


def act(action: Action, session: Session) -> Any:
    """One action; its result must be what an API can send. Errors the app did not expect are in the book."""
    try:
        if not action.reads:
            return api(action.call(session))
        with session.ledger.read(action.name):
            return api(action.call(session))
    except (database.sqlite3.Error, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        session.ledger.failed(action.name, error)
        return f"{type(error).__name__}: {error}"


def api(result: Any) -> Any:
    """What the client of the API gets: a datetime, a Decimal or bytes is a TypeError here."""
    return json.loads(json.dumps(result))


def deploy(session: Session) -> list[str]:
    """The app's next release arrives: its migrations run while everybody else works on."""
    with session.ledger.write("deploy"):
        conn = database.get_connection()
        try:
            return migrations.run_migrations(conn, migrations.MIGRATIONS + migrations.NEXT_RELEASE)
        finally:
            conn.close()


def answer(command: str, **facts: Any) -> None:
    print(json.dumps({"command": command, **facts}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="One process of the reference app under load.")
    parser.add_argument("--role", choices=sorted(DECKS), required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--per-second", type=float, default=50.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(f"{options.seed} {options.name}")
    ledger = Ledger(options.log)
    session = Session(options.name, rng, ledger)
    session.open()
    answer("started")
    try:
        Client(session, Deck(DECKS[options.role], rng), options.per_second).run()
    finally:
        ledger.close()


if __name__ == "__main__":
    main()
