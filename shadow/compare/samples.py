"""Where read samples arrive: a unix stream socket, beside the SQLite file, and a bounded queue behind it.

On the wire a sample is 4 bytes of length, big-endian, and msgpack `[1, sql, params, unix_time]`; `[2, reason, count]`
says that the app's process dropped some. Nothing waits for us: a full queue drops, and counts. Of each statement shape
only a few wait at a time, so a busy shape cannot crowd out a rare one.
"""

from __future__ import annotations

import os
import selectors
import socket
import stat
import struct
import threading
from collections import Counter, OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgpack

from .. import log
from ..errors import OriginError
from ..translate import fingerprint
from ..types import SqliteValue

_log = log.get(__name__)

Params: TypeAlias = "tuple[SqliteValue, ...] | dict[str, SqliteValue]"

_LENGTH = struct.Struct(">I")
_FRAME_BYTES_MAX = 1024 * 1024
_READ_BYTES = 64 * 1024
_CONNECTIONS_MAX = 512
_FINGERPRINTS_MAX = 10_000
#: Not kept because enough samples of its shape wait already.
SURPLUS = "surplus"


@dataclass(frozen=True, slots=True)
class Sample:
    """One read of the app."""

    sql: str
    params: Params
    #: When the app read; "now" for both sides.
    unix_time: float
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Seen:
    """How often a shape arrived, and one text of it."""

    sql: str
    count: int


class Queue:
    """Waiting samples: at most `capacity`, and at most `per_shape` of one fingerprint. Safe between threads."""

    def __init__(self, capacity: int = 5_000, per_shape: int = 50) -> None:
        self._capacity = capacity
        self._per_shape = per_shape
        self._lock = threading.Lock()  # guards all below
        self._arrived = threading.Condition(self._lock)
        self._waiting: deque[Sample] = deque()
        self._shapes: Counter[str] = Counter()
        self._seen: dict[str, Seen] = {}
        self._dropped: Counter[str] = Counter()

    def see(self, sql: str, fingerprint: str) -> None:
        """The app uses this shape, but no sample of it could be made: it is known, and not compared."""
        with self._lock:
            self._count(sql, fingerprint)

    def _count(self, sql: str, fingerprint: str) -> None:
        known = self._seen.get(fingerprint)
        self._seen[fingerprint] = Seen(sql, 1 if known is None else known.count + 1)

    def put(self, sample: Sample) -> None:
        with self._lock:
            self._count(sample.sql, sample.fingerprint)
            if self._shapes[sample.fingerprint] >= self._per_shape:
                # Not a loss of a class: the shape is about to be compared with the samples that wait.
                self._dropped[SURPLUS] += 1
            elif len(self._waiting) >= self._capacity:
                self._dropped["queue_full"] += 1
            else:
                self._shapes[sample.fingerprint] += 1
                self._waiting.append(sample)
                self._arrived.notify()

    def drop(self, reason: str, count: int = 1) -> None:
        with self._lock:
            self._dropped[reason] += count

    def take(self, most: int, wait_seconds: float = 0.0) -> list[Sample]:
        """The oldest samples; waits for a first one."""
        with self._lock:
            if not self._waiting and wait_seconds > 0:
                self._arrived.wait(wait_seconds)
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            for sample in taken:
                self._shapes[sample.fingerprint] -= 1
            return taken

    def give_back(self, samples: list[Sample]) -> None:
        """Samples for which there was no time: they are first in line next time."""
        with self._lock:
            self._waiting.extendleft(reversed(samples))
            self._shapes.update(sample.fingerprint for sample in samples)

    def counts(self) -> tuple[dict[str, Seen], Counter[str]]:
        """Since the last call: samples that arrived, by fingerprint; samples that were lost, by reason."""
        with self._lock:
            seen, self._seen = self._seen, {}
            dropped, self._dropped = self._dropped, Counter()
            return seen, dropped

    def restore(self, seen: dict[str, Seen], dropped: Counter[str]) -> None:
        """What `counts` gave could not be stored: it is given again."""
        with self._lock:
            self._dropped.update(dropped)
            for fingerprint, found in seen.items():
                known = self._seen.get(fingerprint)
                self._seen[fingerprint] = Seen(found.sql, found.count + (known.count if known else 0))

    def __len__(self) -> int:
        return len(self._waiting)


class Receiver:
    """The socket and the thread that reads it."""

    def __init__(self, socket_path: str, queue: Queue, *, mode_like: str | None = None) -> None:
        """`mode_like`: whoever may write that file (the SQLite file) may send samples."""
        self.queue = queue
        self._path = socket_path
        self._mode_like = mode_like
        self._stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._buffers: dict[socket.socket, bytearray] = {}
        self._fingerprints: OrderedDict[str, str] = OrderedDict()
        self._server: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind and read from now on. Raises `OriginError` when another agent serves this file."""
        self._server = self._bind()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="shadow-samples", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(5.0)
        if self._server is not None:
            Path(self._path).unlink(missing_ok=True)

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _bind(self) -> socket.socket:
        if _somebody_listens(self._path):
            raise OriginError(f"another agent takes samples on {self._path}; stop it first")
        Path(self._path).unlink(missing_ok=True)  # left behind by an agent that was killed
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            server.bind(self._path)
            if self._mode_like is not None:
                os.chmod(self._path, stat.S_IMODE(os.stat(self._mode_like).st_mode))
            server.listen(64)
        except OSError as error:
            server.close()
            raise OriginError(f"samples cannot be taken on {self._path}: {error.strerror}") from error
        server.setblocking(False)
        return server

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                for key, _ in self._selector.select(timeout=0.2):
                    if key.fileobj is self._server:
                        self._accept()
                    else:
                        self._read(key.fileobj)  # type: ignore[arg-type]
        finally:
            for client in list(self._buffers):
                self._close(client)
            assert self._server is not None
            self._server.close()
            self._selector.close()

    def _accept(self) -> None:
        assert self._server is not None
        with suppress(BlockingIOError):
            client, _ = self._server.accept()
            if len(self._buffers) >= _CONNECTIONS_MAX:
                client.close()
                self.queue.drop("too_many_connections")
                return
            client.setblocking(False)
            self._buffers[client] = bytearray()
            self._selector.register(client, selectors.EVENT_READ)

    def _read(self, client: socket.socket) -> None:
        try:
            chunk = client.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._close(client)
            return
        buffer = self._buffers[client]
        buffer += chunk
        try:
            self._frames(buffer)
        except (ValueError, TypeError, msgpack.exceptions.UnpackException):
            # Not our wire format: framing is lost, the sender connects again.
            self.queue.drop("bad_frame")
            self._close(client)

    def _frames(self, buffer: bytearray) -> None:
        while len(buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer)
            if length > _FRAME_BYTES_MAX:
                raise ValueError("frame too long")
            end = _LENGTH.size + length
            if len(buffer) < end:
                return
            frame = bytes(buffer[_LENGTH.size : end])
            del buffer[:end]
            self._message(
                msgpack.unpackb(frame, raw=False, unicode_errors="surrogatepass", strict_map_key=False, use_list=False)
            )

    def _message(self, message: tuple[object, ...]) -> None:
        match message:
            case (1, str() as sql, tuple() | dict() as params, int() | float() as unix_time):
                found = self._fingerprint(sql)
                self.queue.put(Sample(sql, params, float(unix_time), found))
            case (3, str() as sql):
                self.queue.see(sql, self._fingerprint(sql))
            case (2, str() as reason, int() as count):
                self.queue.drop(reason, count)
            case _:
                raise ValueError("unknown message")

    def _fingerprint(self, sql: str) -> str:
        found = self._fingerprints.get(sql)
        if found is None:
            found = fingerprint(sql)
            self._fingerprints[sql] = found
            if len(self._fingerprints) > _FINGERPRINTS_MAX:
                self._fingerprints.popitem(last=False)
        return found

    def _close(self, client: socket.socket) -> None:
        self._buffers.pop(client, None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(client)
        client.close()


def _somebody_listens(path: str) -> bool:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(path)
    except OSError:
        return False
    else:
        return True
    finally:
        probe.close()
