"""Reads are offered to whoever listens, never at the app's expense; what is lost is counted."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import msgpack
import pytest

from shadow import config
from shadow import sqlite3 as door

from .conftest import File


class Listener:
    """The agent's end of the socket."""

    def __init__(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)
        self.messages: Queue[Any] = Queue()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(path)
        self._server.listen()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._receive, args=(connection,), daemon=True).start()

    def _receive(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while True:
                head = stream.read(4)
                if len(head) < 4:
                    return
                self.messages.put(msgpack.unpackb(stream.read(int.from_bytes(head, "big")), use_list=False))

    def next(self) -> Any:
        return self.messages.get(timeout=10)

    def close(self) -> None:
        self._server.close()
        for connection in self._open:
            connection.close()


@pytest.fixture
def listening(make_file: Callable[..., File]) -> Iterator[tuple[File, Listener]]:
    file = make_file(sample_rate=1.0)
    settings = config.settings_for(file.path)
    assert settings is not None
    listener = Listener(settings.socket_path)
    yield file, listener
    listener.close()


def test_a_read_is_offered_with_the_parameters_as_sqlite_stored_them(listening: tuple[File, Listener]) -> None:
    file, listener = listening
    conn = door.connect(file.path)
    conn.execute("SELECT a FROM t WHERE n = ? AND a = ?", (True, bytearray(b"x"))).fetchall()
    kind, sql, params, at = listener.next()
    assert (kind, sql, params) == (1, "SELECT a FROM t WHERE n = ? AND a = ?", (1, b"x"))
    assert at > 1.7e9
    conn.execute("SELECT a FROM t WHERE n = :n", {"n": 5, "unused": object()})
    assert listener.next()[2] == {"n": 5}
    conn.close()


def test_questions_to_the_catalog_and_failed_reads_are_not_offered(listening: tuple[File, Listener]) -> None:
    file, listener = listening
    conn = door.connect(file.path)
    conn.execute("SELECT name FROM sqlite_master").fetchall()
    conn.execute("PRAGMA table_info(t)").fetchall()
    conn.execute("SELECT changes()").fetchall()
    with pytest.raises(door.OperationalError):
        conn.execute("SELECT nothing FROM nowhere")
    conn.execute("SELECT 'this one'")
    assert listener.next()[1] == "SELECT 'this one'"
    conn.close()


def test_every_shape_is_offered_once_whatever_the_limits(make_file: Callable[..., File]) -> None:
    file = make_file(sample_rate=0.0, samples_per_second_max=0)
    settings = config.settings_for(file.path)
    assert settings is not None
    listener = Listener(settings.socket_path)
    conn = door.connect(file.path)
    for n in range(50):
        conn.execute(f"SELECT {n} FROM t WHERE a IN ({','.join('?' * (n + 1))})", tuple(range(n + 1)))
    conn.execute("SELECT 'the other shape'")
    assert listener.next()[1] == "SELECT 0 FROM t WHERE a IN (?)"
    assert listener.next()[1] == "SELECT 'the other shape'"
    listener.close()
    conn.close()


def test_without_an_agent_the_first_of_each_shape_is_kept_and_the_rest_is_counted(
    make_file: Callable[..., File],
) -> None:
    file = make_file(sample_rate=1.0)
    settings = config.settings_for(file.path)
    assert settings is not None
    conn = door.connect(file.path)
    for n in range(20):
        conn.execute("SELECT a FROM t WHERE n = ?", (n,)).fetchall()
    listener = Listener(settings.socket_path)
    messages = [listener.next()]
    while sum(m[2] for m in messages if m[0] == 2) + sum(m[0] == 1 for m in messages) < 20:
        conn.execute("SELECT count(*) FROM plain").fetchall() if len(messages) == 1 else None
        messages.append(listener.next())
    assert any(m[0] == 1 and m[1] == "SELECT a FROM t WHERE n = ?" and m[2] == (0,) for m in messages)
    assert all(m[1] == "agent absent" for m in messages if m[0] == 2)
    listener.close()
    conn.close()


def test_a_forked_child_offers_its_own_reads(listening: tuple[File, Listener]) -> None:
    file, listener = listening
    conn = door.connect(file.path)
    conn.execute("SELECT 'parent'")
    assert listener.next()[1] == "SELECT 'parent'"
    conn.close()
    pid = os.fork()
    if pid == 0:
        own = door.connect(file.path)
        own.execute("SELECT 'child', 1")
        threading.Event().wait(1.0)  # the sender thread's time; the parent waits for the message, not for this
        os._exit(0)
    assert listener.next()[1] == "SELECT 'child', 1"
    os.waitpid(pid, 0)


def test_reads_of_temporary_tables_are_counted_not_offered(listening: tuple[File, Listener]) -> None:
    file, listener = listening
    conn = door.connect(file.path)
    conn.execute("CREATE TEMP TABLE scratch (a)")
    conn.execute("SELECT * FROM scratch").fetchall()
    conn.execute("SELECT 'other'")
    got = [listener.next(), listener.next()]
    assert [2, "temporary or attached table", 1] in [list(m) for m in got]
    conn.close()


def test_a_read_too_big_to_offer_still_makes_its_shape_known(listening: tuple[File, Listener]) -> None:
    """Else coverage would be full without a shape that was never compared."""
    file, listener = listening
    conn = door.connect(file.path)
    conn.execute("SELECT a FROM t WHERE a = ?", ("x" * (1 << 20),)).fetchall()
    got = [list(listener.next()), list(listener.next())]
    assert [3, "SELECT a FROM t WHERE a = ?"] in got
    assert [2, "too big", 1] in got
    conn.close()
