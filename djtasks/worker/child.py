"""The program of a pool child: reads messages from its socket, runs their bodies, writes their outcomes.

The main thread runs bodies where there is one slot; where there are more, each has a thread. Another thread reads the
socket, so that what has not begun can be given back while a long body runs.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

from djtasks.worker.wire import Channel

PR_SET_PDEATHSIG = 1
Work = tuple[Any, ...] | None


class Child:
    """One pool child with its slots."""

    def __init__(
        self,
        channel: Channel,
        frames: Iterator[list[Any]],
        slots: int,
        worker_id: str,
        hostname: str,
        reports_memory: bool,
    ) -> None:
        from djtasks.worker.execution import Holder

        self.channel = channel
        self.frames = frames
        self.slots = slots
        self.reports_memory = reports_memory
        self.holder = Holder(worker_id, hostname)
        self.inbox: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self.confirmations: dict[tuple[str, int], queue.SimpleQueue[bool]] = {}

    def run(self) -> None:
        """Work until the supervisor says stop or is gone."""
        threading.Thread(target=self._read, name="djtasks-reader", daemon=True).start()
        self.channel.send("ready")
        if self.slots == 1:
            self._serve()
            return
        threads = [threading.Thread(target=self._serve, name=f"djtasks-{slot}") for slot in range(self.slots)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _read(self) -> None:
        for verb, *rest in self.frames:
            match verb:
                case "run":
                    messages, self.holder.clock = rest
                    for message in messages:
                        self.inbox.put(message)
                case "recall":
                    self._give_back()
                case "settled":
                    message_id, deliveries, written = rest
                    if waiting := self.confirmations.get((message_id, deliveries)):
                        waiting.put(written)
                case "stopping":
                    self.holder.stopping.set()
                case "stop":
                    for _ in range(self.slots):
                        self.inbox.put(None)
        # The supervisor is gone, and with it whoever renews our leases.
        os._exit(1)

    def _give_back(self) -> None:
        unstarted = []
        while True:
            try:
                message = self.inbox.get_nowait()
            except queue.Empty:
                break
            if message is not None:
                unstarted.append(message[:2])
        self.channel.send("returned", unstarted)

    def _serve(self) -> None:
        while (message := self.inbox.get()) is not None:
            self._execute(message)

    def _execute(self, fields: tuple[Any, ...]) -> None:
        from djtasks.domain.messages import Reservation
        from djtasks.domain.outcomes import to_wire
        from djtasks.worker.execution import execute

        message = Reservation(*fields)
        run = execute(message, self.holder)
        token = message.token
        confirmation: queue.SimpleQueue[bool] = queue.SimpleQueue()
        if run.after is not None:
            self.confirmations[token] = confirmation
        memory = resident_kib() if self.reports_memory else 0
        self.channel.send(
            "ended", *token, to_wire(run.outcome), run.started_at, run.seconds, run.after is not None, memory
        )
        if run.after is not None:
            if confirmation.get():
                run.after()
            del self.confirmations[token]
            self.channel.send("done", *token)


def resident_kib() -> int:
    """Return the resident memory of this process in KiB; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * (os.sysconf("SC_PAGE_SIZE") // 1024)
    except OSError:
        return 0


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process with its parent; elsewhere the end of the socket tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def main() -> None:
    """Start as the supervisor has asked in the environment and in the first frame."""
    fd, parent = int(os.environ.pop("DJTASKS_CHILD_FD")), int(os.environ.pop("DJTASKS_CHILD_PARENT"))
    original = os.environ.pop("DJTASKS_CHILD_PYTHONPATH")
    os.environ.pop("PYTHONPATH", None)
    if original:
        os.environ["PYTHONPATH"] = original
    die_with_parent(parent)
    # A terminal and a service manager signal the whole group; the supervisor alone decides. Not SIG_IGN, which
    # programs that a task starts would inherit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    channel = Channel(socket.socket(fileno=fd))
    import django

    django.setup()
    from djtasks.worker.logs import set_up_logging

    frames = channel.frames()
    _, slots, worker_id, hostname, reports_memory, level = next(frames, None) or sys.exit(1)
    set_up_logging(level)
    try:
        Child(channel, frames, slots, worker_id, hostname, reports_memory).run()
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    main()
