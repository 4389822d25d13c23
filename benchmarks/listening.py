"""Where a caller hears when bodies begin, in the same way on all sides, also on those that keep no results."""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path
from typing import Self


class Listener:
    """A socket that ``bodies.begin`` tells the moment to, by the clock that all processes of a machine share."""

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="djtasks-", dir="/tmp"))
        self.address = str(self._directory / "socket")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        return self

    def hear(self, patience: float) -> float:
        """Wait until a body begins; return when that was."""
        self._socket.settimeout(patience)
        return float(self._socket.recv(100))

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()
        shutil.rmtree(self._directory, ignore_errors=True)
