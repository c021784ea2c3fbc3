"""What the steps of the demo share."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .load import Load, Role
from .report import READS_COMPARED_MIN, Figures
from .world import World


class Demo:
    """What the steps share."""

    def __init__(
        self, directory: Path, figures: Figures, roles: tuple[Role, ...], pace: float, note: Callable[[str], None]
    ) -> None:
        self.directory = directory
        self.figures = figures
        self.roles = roles
        self.pace = pace
        self.note = note
        self.reads_compared_min = round(READS_COMPARED_MIN * pace)
        self._world: World | None = None
        self._load: Load | None = None
        #: (database's own clock) when the injections were made and when their repair was shown.
        self.injected_since: Any = None
        self.injected_until: Any = None

    @property
    def world(self) -> World:
        if self._world is None:
            self._world = World(self.directory)
        return self._world

    @property
    def load(self) -> Load:
        if self._load is None:
            self._load = Load(self.directory / "logs", self.world.environment, self.roles)
        return self._load

    @property
    def has_load(self) -> bool:
        return self._load is not None

    def live(self, seconds: float) -> None:
        """Let the app work for a while."""
        time.sleep(seconds * self.pace)

    def end(self) -> None:
        if self._load is not None:
            self._load.__exit__()
        if self._world is not None:
            self._world.end()
