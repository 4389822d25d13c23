"""Ports on loopback."""

import socket


def free_port(wanted: int = 0) -> int:
    """Return ``wanted`` if nobody listens there, else any port that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        return int(probe.getsockname()[1])
