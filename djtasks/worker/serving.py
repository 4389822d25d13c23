"""Inside a pool child: messages are read from its socket, their bodies run, and their outcomes written.

The main thread runs bodies where there is one slot; where there are more, each has a thread. Another thread reads the
socket, so that what has not begun can be given back while a long body runs.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from typing import Any

from djtasks.domain.messages import Reservation, Token
from djtasks.domain.outcomes import to_wire
from djtasks.worker.execution import Holder, Run, execute
from djtasks.worker.wire import Channel

Work = list[Any] | None


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
                case "lost":
                    self.holder.lost.add(Token(*rest))
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
            token = Token(*message[:2])
            if token in self.holder.lost:
                self.channel.send("returned", [token])
            else:
                self._execute(message)
            self.holder.lost.discard(token)

    def _execute(self, fields: list[Any]) -> None:
        message = Reservation._make(fields)
        run = execute(message, self.holder)
        if run.after is None:
            self._tell(message, run)
            return
        confirmation: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.confirmations[message.token] = confirmation
        self._tell(message, run)
        if confirmation.get():
            run.after()
        del self.confirmations[message.token]
        self.channel.send("done", *message.token)

    def _tell(self, message: Reservation, run: Run) -> None:
        memory = resident_kib() if self.reports_memory else 0
        waits = run.after is not None
        self.channel.send("ended", *message[:2], to_wire(run.outcome), run.started_at, run.seconds, waits, memory)


def resident_kib() -> int:
    """Return the resident memory of this process in KiB; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * (os.sysconf("SC_PAGE_SIZE") // 1024)
    except OSError:
        return 0
