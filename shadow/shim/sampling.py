"""Offer reads to the agent for comparison, without ever waiting for it.

The app's thread puts a read into a queue; a daemon thread, started when first needed and anew after a fork, sends it
over a unix socket (`compare.samples` receives). With no agent there, samples are dropped and counted, and the count is
told later: what was not compared must be known. The first sample of each statement shape is kept until it is sent.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
import weakref
from collections import Counter
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

import msgpack

from ..config import Settings
from . import adapt, warm
from .classify import Statement

_QUEUE_MAX = 5_000
#: Shapes a process remembers; beyond that a new shape is a sample like any other.
_SHAPES_MAX = 20_000
_KEPT_MAX = 2_000
_RETRY_SECONDS = 1.0
_SEND_TIMEOUT_SECONDS = 5.0

#: What the agent takes in one message.
_FRAME_BYTES_MAX = 1024 * 1024

#: Text, parameters (or a str: why there are none), Unix time, first of its shape.
_Sample: TypeAlias = "tuple[str, Any, float, bool]"


class Sampler:
    """The samples of one pair in this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = settings.socket_path
        self._rate = settings.sample_rate
        self._per_second = settings.samples_per_second_max
        self._allowance = float(self._per_second)
        self._allowance_at = time.monotonic()
        #: Before this there is no allowance for one more.
        self._next_at = 0.0
        self._reset()
        _samplers.add(self)

    def _reset(self) -> None:
        """Threads do not survive a fork, nor may a child send what its parent has queued."""
        self._queue: SimpleQueue[_Sample | None] = SimpleQueue()
        self._dropped: Counter[str] = Counter()
        self._shapes: set[int] = set()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # guards the start of the thread

    def offer(self, statement: Statement, params: Any) -> None:
        """A read that SQLite has answered. Never raises, never waits."""
        first = statement.shape not in self._shapes
        if not first:
            now = time.monotonic()
            if now < self._next_at or (self._rate < 1.0 and random.random() >= self._rate):
                return
            self._allowance = min(
                float(self._per_second), self._allowance + (now - self._allowance_at) * self._per_second
            )
            self._allowance_at = now
            if self._allowance < 1.0:
                self._next_at = now + ((1.0 - self._allowance) / self._per_second if self._per_second else 1.0)
                return
            self._allowance -= 1.0
        try:
            plain = adapt.journaled(adapt.params(params, statement), statement)
        except Exception:  # noqa: BLE001 -- an app's adapter may raise anything; its read has succeeded
            self._tell_shape(statement, "parameters")
            return
        if self._queue.qsize() >= _QUEUE_MAX:
            self._dropped["queue full"] += 1
            return
        if first and len(self._shapes) < _SHAPES_MAX:
            self._shapes.add(statement.shape)
        self._queue.put((statement.sql, plain, time.time(), first))
        if self._thread is None:
            self._start()

    def _tell_shape(self, statement: Statement, reason: str) -> None:
        """No sample can be made of this read. Its shape must be known all the same: coverage is not full without it."""
        self._dropped[reason] += 1
        if statement.shape not in self._shapes and len(self._shapes) < _SHAPES_MAX:
            self._shapes.add(statement.shape)
            self._queue.put((statement.sql, reason, 0.0, True))
        if self._thread is None:
            self._start()

    def drop(self, reason: str) -> None:
        """A read that cannot be compared elsewhere."""
        self._dropped[reason] += 1
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="shadow-samples", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        kept: list[_Sample] = []
        connection: socket.socket | None = None
        retry_at = 0.0
        while True:
            try:
                sample = self._queue.get(timeout=_RETRY_SECONDS)
            except Empty:
                sample = None
                if not kept and not self._dropped:
                    sample = self._queue.get()
            if sample is not None:
                kept.append(sample)
            if connection is None and time.monotonic() >= retry_at:
                connection = self._connect()
                retry_at = time.monotonic() + _RETRY_SECONDS
                if connection is not None:
                    warm.start(self._settings)  # an agent is there: a cutover may come
            if connection is not None:
                try:
                    self._send(connection, kept)
                except OSError:
                    connection.close()
                    connection = None
            if connection is None:
                kept = self._keep_first(kept)

    def _connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_SEND_TIMEOUT_SECONDS)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
            return None
        return connection

    def _send(self, connection: socket.socket, kept: list[_Sample]) -> None:
        """Send and forget one by one: what fails is still there."""
        for reason in list(self._dropped):
            count = self._dropped[reason]
            connection.sendall(_frame([2, reason, count]))
            self._dropped[reason] -= count
            if not self._dropped[reason]:
                del self._dropped[reason]
        while kept:
            sql, params, at, _ = kept[0]
            try:
                frame = _frame([3, sql] if isinstance(params, str) else [1, sql, params, at])
            except (ValueError, TypeError, OverflowError):
                kept[0] = (sql, "parameters", at, True)
                self._dropped["parameters"] += 1
                continue
            if len(frame) <= _FRAME_BYTES_MAX:
                connection.sendall(frame)
            elif not isinstance(params, str):
                kept[0] = (sql, "too big", at, True)
                self._dropped["too big"] += 1
                continue
            del kept[0]

    def _keep_first(self, kept: list[_Sample]) -> list[_Sample]:
        first = [s for s in kept if s[3]][:_KEPT_MAX]
        if len(first) < len(kept):
            self._dropped["agent absent"] += len(kept) - len(first)
        return first


def _frame(message: list[Any]) -> bytes:
    body: bytes = msgpack.packb(message, use_bin_type=True, unicode_errors="surrogatepass")
    return len(body).to_bytes(4, "big") + body


_samplers: weakref.WeakSet[Sampler] = weakref.WeakSet()


def _after_fork() -> None:
    for sampler in list(_samplers):
        sampler._reset()


os.register_at_fork(after_in_child=_after_fork)
