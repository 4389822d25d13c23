"""Frames between the supervisor and a pool child: a line of JSON each, and nothing but JSON."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

CHUNK = 256 * 1024


class Channel:
    """One end of the socket between supervisor and child.

    The child sends, from any of its threads. The supervisor posts: it must never wait for a child that does not read.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._lock = threading.Lock()
        self._rest = b""
        self._unsent = bytearray()

    def fileno(self) -> int:
        """The socket's file number, for selectors."""
        return self.sock.fileno()

    def send(self, *frame: Any) -> None:
        """Send one frame; raises OSError when the other end is gone."""
        data = _dump(list(frame)) + b"\n"
        with self._lock:
            self.sock.sendall(data)

    def post(self, *frame: Any) -> None:
        """Send one frame as far as the socket takes it; the rest is for ``flush``."""
        self._unsent += _dump(list(frame)) + b"\n"
        self.flush()

    def flush(self) -> None:
        """Send more of what was posted; raises OSError when the other end is gone."""
        with suppress(BlockingIOError):
            while self._unsent:
                del self._unsent[: self.sock.send(self._unsent, socket.MSG_DONTWAIT)]

    @property
    def is_stuffed(self) -> bool:
        """Whether something that was posted has not been sent."""
        return bool(self._unsent)

    def receive(self) -> list[list[Any]] | None:
        """Return all frames that have arrived, waiting for the first bytes; None when the other end is gone."""
        try:
            data = self.sock.recv(CHUNK)
        except ConnectionError:
            data = b""
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [_load(line) for line in lines]

    def frames(self) -> Iterator[list[Any]]:
        """Yield frames until the other end is gone."""
        while (frames := self.receive()) is not None:
            yield from frames

    def close(self) -> None:
        """Close this end."""
        self.sock.close()


def _dump(frame: list[Any]) -> bytes:
    return orjson.dumps(frame) if orjson else json.dumps(frame, separators=(",", ":")).encode()


def _load(line: bytes) -> list[Any]:
    frame: list[Any] = orjson.loads(line) if orjson else json.loads(line)
    return frame
