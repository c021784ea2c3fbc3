"""Samples arrive whole, are bounded, and what is lost is counted."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgpack
import pytest

from shadow.compare.samples import SURPLUS, Queue, Receiver, Sample, Seen
from shadow.errors import OriginError


def sample(number: int, shape: str = "s") -> Sample:
    return Sample(f"SELECT {number}", (), 0.0, shape)


def test_only_a_few_of_one_shape_wait_so_that_a_rare_one_finds_room() -> None:
    queue = Queue(capacity=10, per_shape=3)
    for number in range(100):
        queue.put(sample(number, "busy"))
    queue.put(sample(0, "rare"))
    assert [found.fingerprint for found in queue.take(10)] == ["busy", "busy", "busy", "rare"]
    seen, dropped = queue.counts()
    assert seen["busy"].count == 100
    assert dropped == {SURPLUS: 97}


def test_a_full_queue_drops_and_counts() -> None:
    queue = Queue(capacity=2)
    for number in range(5):
        queue.put(sample(number, f"shape {number}"))
    assert len(queue) == 2
    assert queue.counts()[1] == {"queue_full": 3}
    assert queue.counts()[1] == {}


def test_what_is_given_back_is_first_in_line() -> None:
    queue = Queue()
    for number in range(4):
        queue.put(sample(number))
    taken = queue.take(2)
    queue.give_back(taken)
    assert [found.sql for found in queue.take(4)] == ["SELECT 0", "SELECT 1", "SELECT 2", "SELECT 3"]


def test_counts_that_could_not_be_stored_are_given_again() -> None:
    queue = Queue(capacity=1)
    for number in range(3):
        queue.put(sample(number))
    seen, dropped = queue.counts()
    queue.put(sample(3))
    queue.restore(seen, dropped)
    again, dropped_again = queue.counts()
    assert again["s"].count == 4
    assert dropped_again == {"queue_full": 3}


def test_take_waits_for_a_first_sample() -> None:
    queue = Queue()
    threading.Timer(0.05, lambda: queue.put(sample(1))).start()
    assert len(queue.take(5, wait_seconds=10.0)) == 1
    assert queue.take(5, wait_seconds=0.0) == []


class Sender:
    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(path))

    def send(self, message: object) -> None:
        body = msgpack.packb(message, use_bin_type=True, unicode_errors="surrogatepass")
        self.socket.sendall(struct.pack(">I", len(body)) + body)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    found = Receiver(str(tmp_path / "s.sock"), Queue())
    found.start()
    yield found
    found.stop()


@pytest.fixture
def sender(receiver: Receiver, tmp_path: Path) -> Iterator[Sender]:
    found = Sender(tmp_path / "s.sock")
    yield found
    found.socket.close()


def until(condition: Callable[[], bool]) -> None:
    """Poll; the receiver is another thread. pytest's timeout ends a wait that is in vain."""
    waiting = threading.Event()
    while not condition():
        waiting.wait(0.005)


def test_samples_come_with_text_parameters_and_time(receiver: Receiver, sender: Sender) -> None:
    sender.send([1, "SELECT ?, ?", [1, b"\xff"], 1700000000.5])
    sender.send([1, "SELECT :a", {"a": "lone \udc80"}, 1700000001])
    taken: list[Sample] = []
    until(lambda: bool(taken.extend(receiver.queue.take(10, 0.1)) or len(taken) == 2))
    assert taken[0].params == (1, b"\xff")
    assert taken[0].unix_time == 1700000000.5
    assert taken[1].params == {"a": "lone \udc80"}


def test_a_burst_in_small_pieces_arrives_whole(receiver: Receiver, sender: Sender) -> None:
    body = msgpack.packb([1, "SELECT 1", [], 0.0])
    stream = (struct.pack(">I", len(body)) + body) * 300
    for start in range(0, len(stream), 7):
        sender.socket.sendall(stream[start : start + 7])
    count = 0

    def all_there() -> bool:
        nonlocal count
        count += sum(shape.count for shape in receiver.queue.counts()[0].values())
        return count == 300

    until(all_there)


def test_what_the_app_dropped_is_counted_here(receiver: Receiver, sender: Sender) -> None:
    sender.send([2, "queue full", 17])
    dropped: dict[str, int] = {}
    until(lambda: bool(dropped.update(receiver.queue.counts()[1]) or dropped))
    assert dropped == {"queue full": 17}


def test_a_shape_without_a_sample_is_seen_and_waits_for_no_comparison(receiver: Receiver, sender: Sender) -> None:
    sender.send([3, "SELECT a FROM t WHERE b = ?"])
    seen: dict[str, Seen] = {}
    until(lambda: bool(seen.update(receiver.queue.counts()[0]) or seen))
    assert [found.sql for found in seen.values()] == ["SELECT a FROM t WHERE b = ?"]
    assert receiver.queue.take(1) == []


@pytest.mark.parametrize("junk", [b"\xff" * 64, struct.pack(">I", 3) + b"\xc1\xc1\xc1", struct.pack(">I", 1) + b"\x01"])
def test_junk_closes_the_connection_and_nothing_else(
    receiver: Receiver, sender: Sender, tmp_path: Path, junk: bytes
) -> None:
    sender.socket.sendall(junk)
    sender.socket.settimeout(10)
    assert sender.socket.recv(1) == b""
    with closing(Sender(tmp_path / "s.sock").socket):
        assert receiver.alive
    assert receiver.queue.counts()[1] == {"bad_frame": 1}


def test_a_socket_left_by_a_killed_agent_is_replaced_but_a_living_one_is_not(
    receiver: Receiver, tmp_path: Path
) -> None:
    with pytest.raises(OriginError, match="another agent"):
        Receiver(str(tmp_path / "s.sock"), Queue()).start()
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stale.bind(str(tmp_path / "old.sock"))
    stale.close()
    second = Receiver(str(tmp_path / "old.sock"), Queue())
    second.start()
    second.stop()
    assert not (tmp_path / "old.sock").exists()
