"""The load: client processes of the app, started, told what to do, and what their books say.

Pauses are read from the clients' own books: the longest call that any of them made in a stretch of time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True, slots=True)
class Role:
    """How many processes of a kind, and how many calls a second each makes."""

    role: str
    processes: int
    per_second: float


#: What an API under use looks like, scaled to a machine with two cores that also runs everything else.
USUAL_LOAD = (Role("reader", 2, 100.0), Role("writer", 2, 60.0), Role("worker", 1, 20.0))


class ClientFailed(Exception):
    """A client process ended by itself or did not answer; its last lines of stderr."""


class ClientProcess:
    """One running client and the pipe to it."""

    def __init__(self, name: str, role: Role, directory: Path, environment: Mapping[str, str], seed: int) -> None:
        self.name = name
        self.log = directory / f"{name}.jsonl"
        self._stderr = directory / f"{name}.stderr"
        command = [sys.executable, "-m", "shadow.demo.client", "--role", role.role, "--name", name]
        command += ["--log", str(self.log), "--per-second", str(role.per_second), "--seed", str(seed)]
        with self._stderr.open("w") as stderr:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=dict(environment),
                text=True,
                bufsize=1,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def answer(self, command: str) -> dict[str, Any]:
        """Wait for the answer to `command`. Raises `ClientFailed`."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer: dict[str, Any] = json.loads(line)
            if answer["command"] == command:
                return answer
        raise ClientFailed(f"client {self.name} ended: {self.last_words()}")

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command + "\n")
        except BrokenPipeError as error:
            raise ClientFailed(f"client {self.name} ended: {self.last_words()}") from error

    def end(self) -> None:
        """Close its stdin, which ends it; kill it if that takes too long."""
        _close(self._process.stdin)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _close(self._process.stdout)

    def last_words(self) -> str:
        lines = self._stderr.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no message"


class Load:
    """All clients. Use as a context manager: nothing is left running."""

    def __init__(
        self, directory: Path, environment: Mapping[str, str], roles: tuple[Role, ...] = USUAL_LOAD, *, seed: int = 1
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        # A client must not wait for cores it cannot have; and it must find this package wherever we run.
        environment = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
        self._clients = [
            ClientProcess(f"{role.role}{number}", role, directory, environment, seed)
            for role in roles
            for number in range(1, role.processes + 1)
        ]

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *exc: object) -> None:
        for client in self._clients:
            client.end()

    @property
    def logs(self) -> list[Path]:
        return [client.log for client in self._clients]

    @property
    def processes(self) -> int:
        return len(self._clients)

    def wait_started(self) -> None:
        for client in self._clients:
            client.answer("started")

    def run(self) -> None:
        self._ask_all("run")

    def pause(self) -> None:
        """Returns when no call is under way in any client."""
        self._ask_all("pause")

    def totals(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for answer in self._ask_all("totals"):
            total.update({key: answer[key] for key in ("reads", "writes", "errors")})
        return {key: total[key] for key in ("reads", "writes", "errors")}

    def wait_until(self, enough: Callable[[dict[str, int]], bool], *, seconds: float) -> None:
        """Let them work until the totals are `enough`. Raises `ClientFailed` after `seconds`."""
        deadline = time.monotonic() + seconds
        while not enough(totals := self.totals()):
            if time.monotonic() > deadline:
                raise ClientFailed(f"after {seconds:.0f} s the clients had done only {totals}")
            time.sleep(0.1)

    def deploy(self) -> list[str]:
        """The app's next release: one client runs its migrations, the others work on."""
        client = self._clients[-1]
        client.tell("deploy")
        return list(client.answer("deploy")["applied"])

    def _ask_all(self, command: str) -> list[dict[str, Any]]:
        for client in self._clients:
            client.tell(command)
        return [client.answer(command) for client in self._clients]


def entries(logs: list[Path]) -> Iterator[dict[str, Any]]:
    """Every complete line of the books."""
    for log in logs:
        with log.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)


@dataclass(frozen=True, slots=True)
class Longest:
    """The longest call in a stretch of time, and whose it was."""

    ms: float
    op: str


def longest_call(logs: list[Path], since: float, until: float, *, ended: bool = False) -> Longest:
    """The longest call that was under way between the two moments (Unix time); with `ended`, and over by the later one.

    A call that a switch made long may have begun just before it: it must not count as usual, too.
    """
    longest = Longest(0.0, "")
    for entry in entries(logs):
        ms = entry.get("ms", 0.0)
        latest = entry["t"] if ended else entry["t"] - ms / 1000
        if ms > longest.ms and entry["t"] >= since and latest <= until:
            longest = Longest(ms, entry["op"])
    return longest


def failures(logs: list[Path]) -> Counter[str]:
    """Errors that the app did not expect, by call and text."""
    return Counter(f"{e['op']}: {e['failed']}" for e in entries(logs) if "failed" in e)


def _close(pipe: IO[str] | None) -> None:
    if pipe is not None:
        try:
            pipe.close()
        except BrokenPipeError:
            pass
