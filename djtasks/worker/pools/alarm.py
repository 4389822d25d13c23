"""What ends a wait early, from any thread and from signal handlers."""

from __future__ import annotations

import socket
from contextlib import suppress


class Alarm:
    """A pair of sockets: who rings writes a byte, who waits reads it."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)

    def fileno(self) -> int:
        """The file number to wait on."""
        return self._reader.fileno()

    @property
    def bell(self) -> int:
        """The file number that rings when it is written to, for ``signal.set_wakeup_fd``."""
        return self._writer.fileno()

    def ring(self) -> None:
        """End the wait."""
        # It may be full, and will ring in any case, or closed, and nobody waits any more.
        with suppress(OSError):
            self._writer.send(b"w")

    def silence(self) -> None:
        """Take note of all that has rung."""
        with suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass

    def close(self) -> None:
        """Give the sockets back."""
        self._reader.close()
        self._writer.close()
