"""The mmap hint: where a process looks first, at 0.03 µs, without asking a database.

`sqlite` or `postgres`: reads go there. `ask`: a switch is near, or its coordinator died: each statement asks the
authority, the control record. The hint is never the authority for a write; a write transaction reads the control
record under its own lock. A missing file reads as `ask`: slow but right.
While `draining_until` (Unix time, seconds) lies ahead, new transactions wait in the shim: a switch is announced.
"""

from __future__ import annotations

import mmap
import os
import struct
from enum import IntEnum
from pathlib import Path

_MAGIC = b"shadow1\0"
_LAYOUT = struct.Struct("<8sd")  # magic, draining_until; the state byte stands behind them
STATE_OFFSET = _LAYOUT.size
_SIZE = 32


class HintState(IntEnum):
    ASK = 0
    SQLITE = 1
    POSTGRES = 2


class Hint:
    """One open hint file. Reads are two memory accesses and take no lock."""

    __slots__ = ("_map", "identity", "path")

    def __init__(self, path: str, view: mmap.mmap, identity: tuple[int, int]) -> None:
        self.path = path
        self._map = view
        #: Device and inode: whether another file stands at the path by now.
        self.identity = identity

    @classmethod
    def open(cls, path: str) -> Hint | None:
        """The hint at `path`, or None when there is none (not initialised): then ask."""
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError:
            return None
        try:
            found = os.fstat(fd)
            if found.st_size < _SIZE:
                return None
            view = mmap.mmap(fd, _SIZE, prot=mmap.PROT_READ)
        finally:
            os.close(fd)
        return cls(path, view, (found.st_dev, found.st_ino)) if view[:8] == _MAGIC else None

    @property
    def view(self) -> mmap.mmap:
        """The mapped bytes, for the hot path: `view[STATE_OFFSET]` is the state."""
        return self._map

    @property
    def state(self) -> HintState:
        byte = self._map[STATE_OFFSET]
        return HintState(byte) if byte <= HintState.POSTGRES else HintState.ASK

    @property
    def draining_until(self) -> float:
        """Unix time until which new transactions wait; 0.0: no switch is announced."""
        return float(_LAYOUT.unpack_from(self._map)[1])


def write_hint(path: str, state: HintState, *, draining_until: float = 0.0) -> None:
    """Write the hint in place, creating it if need be. The state byte is set `ASK` while the rest changes."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if os.fstat(fd).st_size < _SIZE:
            os.pwrite(fd, b"\0" * _SIZE, 0)
        os.pwrite(fd, bytes([HintState.ASK]), STATE_OFFSET)
        os.pwrite(fd, _LAYOUT.pack(_MAGIC, draining_until), 0)
        os.pwrite(fd, bytes([state]), STATE_OFFSET)
    finally:
        os.close(fd)


def remove_hint(path: str) -> None:
    """Turn every reader to `ask`, then unlink: a process that still maps the old file asks the authority."""
    if Path(path).exists():
        write_hint(path, HintState.ASK)
        Path(path).unlink(missing_ok=True)
