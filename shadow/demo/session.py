"""What one client knows and keeps while it calls the app: its name, its luck, its book and rows of its own.

Several clients write at once, as users of an API do: shared rows are counted up in single statements, everything that
takes more than one statement happens in rows that belong to one client.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .app import conversations, datasources, reports
from .app.database import get_db
from .app.seed import SHARED_DATASOURCE, SHARED_REPORTS
from .ledger import Ledger, added, present


@dataclass
class Session:
    """State of one client; the same seed and the same database make the same calls."""

    name: str
    rng: random.Random
    ledger: Ledger
    conversation: int = 0
    report: int = 0
    datasource: int = 0
    #: Contended counters.
    shared_reports: list[int] = field(default_factory=list)
    shared_questions: list[int] = field(default_factory=list)
    #: Rows of the old data to look at.
    old_conversations: int = 0
    #: Made by this client, newest last; bounded.
    tables: deque[int] = field(default_factory=lambda: deque(maxlen=20))
    columns: deque[int] = field(default_factory=lambda: deque(maxlen=20))
    widgets: deque[int] = field(default_factory=lambda: deque(maxlen=8))
    kpis: deque[int] = field(default_factory=lambda: deque(maxlen=8))
    datasets: deque[int] = field(default_factory=lambda: deque(maxlen=6))
    jobs: deque[int] = field(default_factory=lambda: deque(maxlen=6))
    messages: deque[int] = field(default_factory=lambda: deque(maxlen=20))
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def token(self, what: str = "t") -> str:
        """A text that nobody else writes."""
        return f"{what}:{self.name}:{next(self._numbers)}"

    def open(self) -> None:
        """Find the shared rows and make this client's own ones."""
        with get_db() as conn:
            marks = ", ".join("?" for _ in SHARED_REPORTS)
            found = conn.execute(f"SELECT id FROM saved_reports WHERE title IN ({marks}) ORDER BY id", SHARED_REPORTS)
            self.shared_reports = [row[0] for row in found.fetchall()]
            found = conn.execute(
                "SELECT q.id FROM suggested_questions q JOIN datasources d ON d.id = q.datasource_id"
                " WHERE d.name = ? ORDER BY q.id",
                (SHARED_DATASOURCE,),
            )
            self.shared_questions = [row[0] for row in found.fetchall()]
            self.old_conversations = conn.execute(
                "SELECT MAX(id) FROM conversations WHERE title NOT LIKE 'talk:%'"
            ).fetchone()[0]
        self.open_conversation()
        title = self.token("report")
        with self.ledger.write("save_report", present("saved_reports", "title", title)) as confirmed:
            self.report = reports.save_report(1, title, "SELECT 1", {"type": "line"}) or 0
            confirmed[0]["id"] = self.report
        name = self.token("source")
        with self.ledger.write("create_datasource", present("datasources", "name", name)) as confirmed:
            self.datasource = int(datasources.create_datasource(name, "csv", None, True)["id"])
            confirmed[0]["id"] = self.datasource

    def open_conversation(self) -> None:
        title = self.token("talk")
        with self.ledger.write("create_conversation", present("conversations", "title", title)) as confirmed:
            self.conversation = conversations.create_conversation(2, title) or 0
            confirmed[0]["id"] = self.conversation
            confirmed.append(added("conversations", self.conversation, "message_count", 0))


Call = Callable[[Session], Any]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a client does: a call of the app's data layer, booked."""

    name: str
    call: Call
    reads: bool


class Deck:
    """Actions in an order that comes round to each of them: shuffled, dealt to the end, shuffled again."""

    def __init__(self, actions: list[Action], rng: random.Random) -> None:
        self._actions = actions
        self._rng = rng
        self._left: list[Action] = []
        self.rounds = 0

    def deal(self) -> Action:
        if not self._left:
            self._left = list(self._actions)
            self._rng.shuffle(self._left)
            self.rounds += 1
        return self._left.pop()
