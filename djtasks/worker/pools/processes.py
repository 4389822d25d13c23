"""The child processes of a pool: they are started, listened to, and buried when they are gone."""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from subprocess import TimeoutExpired

from djtasks.worker.execution import Holder
from djtasks.worker.pools.alarm import Alarm
from djtasks.worker.pools.base import Event
from djtasks.worker.pools.process import Process, Share

logger = logging.getLogger("djtasks.worker.pool")
RESTART_SECONDS = 1.0
GOODBYE_SECONDS = 2.0


class Processes:
    """All children that live, also those that are to go."""

    def __init__(self, alarm: Alarm, holder: Holder, share: Share) -> None:
        self.alarm = alarm
        self.holder = holder
        self.share = share
        self.closing = False
        self.events: list[Event] = []
        self._children: list[Process] = []
        self._next_start = 0.0
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.alarm, selectors.EVENT_READ, None)

    def fileno(self) -> int:
        """The file number of all that is waited for."""
        return self._selector.fileno()

    def __iter__(self) -> Iterator[Process]:
        return iter(self._children)

    @property
    def may_start(self) -> bool:
        """Whether a child may be started now: one that cannot even start is not started in a tight loop."""
        return not self.closing and time.monotonic() >= self._next_start

    def start(self, kind: str, slots: int, *, alone: bool = False) -> None:
        """Start another child."""
        child = Process(kind, slots, self.holder, self.share, alone=alone)
        self._children.append(child)
        self._selector.register(child.channel, selectors.EVENT_READ, child)

    def wait(self, timeout: float) -> list[Event]:
        """Return what the children say; sleep up to ``timeout`` seconds for the first word or the alarm."""
        self.watch()
        for key, mask in self._selector.select(0 if self.events else timeout):
            if key.data is None:
                self.alarm.silence()
                continue
            if mask & selectors.EVENT_WRITE:
                key.data.flush()
            if mask & selectors.EVENT_READ:
                self._read(key.data)
        for child in list(self._children):
            # A grandchild may hold the socket open: the exit status is the other witness of a death.
            if child.popen.poll() is not None:
                self._bury(child)
            elif time.monotonic() >= child.patience_ends_at:
                self._put_down(child)
        events, self.events = self.events, []
        return events

    def close(self) -> None:
        """Let those go that have nothing to do, kill the others, and hear what they still said."""
        self.closing = True
        at_rest = [child for child in self._children if child.ready and not child.window]
        for child in self._children:
            if child not in at_rest:
                child.popen.kill()
        self._dismiss(at_rest)
        for child in list(self._children):
            self._bury(child)
        self._selector.close()

    def _dismiss(self, at_rest: Sequence[Process]) -> None:
        """Give processes a moment to go by themselves, in which they may close what they have opened."""
        until = time.monotonic() + GOODBYE_SECONDS
        for child in at_rest:
            child.tell("stop")
        for child in at_rest:
            with suppress(TimeoutExpired):
                child.popen.wait(max(0.0, until - time.monotonic()))

    def _read(self, child: Process) -> None:
        if (events := child.read()) is None:
            self._bury(child)
        else:
            self.events += events

    def watch(self) -> None:
        """Wait for the sockets to take more only where something is left to be sent."""
        for child in self._children:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.channel.is_stuffed else 0)
            if self._selector.get_key(child.channel).events != events:
                self._selector.modify(child.channel, events, child)

    def _bury(self, child: Process) -> None:
        """Take leave of a child that is gone: read what it still said, and report what it had."""
        if child.channel.fileno() < 0:
            return
        self._selector.unregister(child.channel)
        self._children.remove(child)
        self.events += child.bury()
        if not child.retiring and not self.closing:
            logger.error("%s; %d messages were in it", child.epitaph(), len(child.window))
            if not child.ready:
                self._next_start = time.monotonic() + RESTART_SECONDS

    def _put_down(self, child: Process) -> None:
        """Kill a process that did not react, or did not go."""
        if not child.retiring:
            logger.error("pool process %d does not react to the end of a run in it, and is killed", child.popen.pid)
        child.popen.kill()
        self._bury(child)
