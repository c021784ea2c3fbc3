"""The parent's end of `cutover.holder`: start the child, talk to it, and kill it in time."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

from ..errors import OriginError
from .holder import Commit
from .outcome import Holder

_START_SECONDS_MAX = 15.0
#: The child's own deadline comes first; this is for one that is stopped.
_GRACE_SECONDS = 0.1
_WAL_WRITE_LOCK_BYTE = 120  # https://www.sqlite.org/walformat.html#wal_locks


class LockHolder:
    """SQLite's write lock, held by a child process. A context manager; leaving it frees the lock."""

    def __init__(self, sqlite_path: str) -> None:
        self._path = sqlite_path
        self._buffer = b""
        package_home = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (package_home, os.environ.get("PYTHONPATH")) if p)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "shadow.cutover.holder", sqlite_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-Z and Ctrl-C at the terminal reach the coordinator alone
        )

    def __enter__(self) -> LockHolder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()

    def ready(self) -> None:
        """Wait until the child has the file open."""
        answer = self._answer(time.monotonic() + _START_SECONDS_MAX)
        if answer != "ready":
            raise OriginError(
                f"the process that is to hold SQLite's write lock did not start ({answer or 'no answer'})"
            )

    def lock(self, wait_seconds: float, hold_seconds: float) -> bool:
        """Take the write lock; False when it could not be had. From then on the child lets go after `hold_seconds`."""
        self._send(f"lock {wait_seconds} {hold_seconds}\n")
        answer = self._answer(time.monotonic() + wait_seconds + _GRACE_SECONDS)
        if answer is not None and answer.startswith("error"):
            raise OriginError(f"SQLite's write lock cannot be taken: {answer.removeprefix('error ')}")
        return answer == "locked"

    def commit(self, commit: Commit, deadline: float) -> bool:
        """Have the child commit; False when it did not say so in time. Then ask the control record."""
        self._send(commit.to_line())
        answer = self._answer(deadline + _GRACE_SECONDS)
        if answer is not None and answer.startswith("error"):
            raise OriginError(f"SQLite refused cutover's transaction: {answer.removeprefix('error ')}")
        return answer == "committed"

    def release(self) -> None:
        """Let go of the lock without a change."""
        self._send("release\n")
        self._answer(time.monotonic() + _GRACE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Whatever state the child is in, afterwards it holds nothing."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass  # what it was to be told does not matter any more

    def _send(self, line: str) -> None:
        assert self._child.stdin is not None
        try:
            os.write(self._child.stdin.fileno(), line.encode())
        except BrokenPipeError:
            pass  # it gave up at its deadline; the answer that does not come says so

    def _answer(self, deadline: float) -> str | None:
        assert self._child.stdout is not None
        fd = self._child.stdout.fileno()
        while b"\n" not in self._buffer:
            if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            chunk = os.read(fd, 65536)
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


def write_lock_holders(sqlite_path: str) -> tuple[Holder, ...]:
    """Processes that hold SQLite's write lock, as far as the kernel tells (Linux, the same pid namespace)."""
    try:
        inode = os.stat(sqlite_path + "-shm").st_ino
        locks = Path("/proc/locks").read_text()
    except OSError:
        return ()
    pids = set()
    for line in locks.splitlines():
        # 1: POSIX  ADVISORY  WRITE 4711 fe:01:123456 120 120
        fields = line.split()
        if len(fields) < 8 or fields[3] != "WRITE" or fields[5].rpartition(":")[2] != str(inode):
            continue
        last = _WAL_WRITE_LOCK_BYTE if fields[7] == "EOF" else int(fields[7])
        if int(fields[6]) <= _WAL_WRITE_LOCK_BYTE <= last and int(fields[4]) > 0:
            pids.add(int(fields[4]))
    return tuple(Holder(pid, _command(pid)) for pid in sorted(pids))


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()[:200]
    except OSError:
        return ""
