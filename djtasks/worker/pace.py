"""How far ahead to reserve, how often to look, and how to bear an outage of the database."""

from __future__ import annotations

import random
import time

AHEAD_SECONDS = 0.1
# Where bodies keep all cores busy, the supervisor may be late with the next: a slot has work for as long as that.
DEPTH_SECONDS = 0.05
MOST_AHEAD = 500
MOST_IN_POOL = 256
FADE = 0.2
TOGETHER_SECONDS = 0.0005
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 3.0
LOG_EVERY = 5.0


class Pace:
    """Learns how long tasks take: short ones are reserved ahead and in batches, long ones one for each free slot."""

    def __init__(self, slots: int, abreast: bool = True) -> None:
        self.slots = slots
        self.abreast = abreast
        self._seconds = 1.0
        self._all_late = True
        self._together = 0
        self._began_at = 0.0

    def learn(self, seconds: float) -> None:
        """Take a run into account: a long one counts at once, short ones only by and by."""
        self._seconds = max(seconds, self._seconds + (seconds - self._seconds) * FADE)
        self._together -= 1

    def begin(self, count: int) -> None:
        """Take note of bodies that begin together."""
        self._together = count
        self._began_at = time.monotonic()

    def until_together(self, now: float) -> float:
        """Return how long to wait for the others that began with one that has ended: they can share its commit.

        Late ones are reserved ahead, so that no slot waits for a settlement; of those that take turns in one
        interpreter, the last ends when the commit for the first could be done.
        """
        if not self.abreast or self._together <= 0 or self._all_late or self._seconds > TOGETHER_SECONDS:
            return 0.0
        return max(0.0, self._began_at + TOGETHER_SECONDS - now)

    def suffer(self, seconds: float) -> None:
        """Take into account that no run has ended for so long."""
        self._seconds = max(seconds, self._seconds)

    def saw(self, late: bool) -> None:
        """Take note of a received message: early ones are begun when a slot is free and never reserved ahead."""
        self._all_late = late

    def ahead(self) -> int:
        """Return how many messages to reserve beyond the slots."""
        if not self._all_late:
            return 0
        return min(MOST_AHEAD, int(AHEAD_SECONDS * self.slots / max(self._seconds, 1e-6)))

    def depth(self) -> int:
        """Return how many messages a slot may have, the running one included."""
        return max(1, min(MOST_IN_POOL // self.slots, int(DEPTH_SECONDS / max(self._seconds, 1e-6))))

    def jitter(self) -> float:
        """Return a factor around one, so that idle workers do not look in step."""
        return random.uniform(0.8, 1.2)


class Outage:
    """A time without the database: it is tried again with growing, random pauses, and logged now and then."""

    def __init__(self, lease: float) -> None:
        self.lease = lease
        self.lasts = False
        self._pause = 0.0
        self._retry_at = 0.0
        self._answered_at = time.monotonic()
        self._logged_at = float("-inf")
        self._trusts_at = 0.0
        self._expected_at = time.monotonic()

    def expect(self, rest: float) -> None:
        """Note that this process is going to sleep for so long."""
        now = time.monotonic()
        self.observe(now)
        self._expected_at = now + rest

    def observe(self, now: float) -> None:
        """Note that this process runs; where it has not for a while, others may not have either (A14)."""
        if now - self._expected_at > self.lease / 2:
            self._trusts_at = now + self.lease
        self._expected_at = now

    def begin(self) -> bool:
        """Note a failure; say whether it is worth a line in the log."""
        now = time.monotonic()
        if not self.lasts:
            self.lasts, self._pause = True, FIRST_PAUSE
        # Whoever holds messages must be back within a lease: the others trust no lapse for so long.
        self._pause = min(LONGEST_PAUSE, self.lease / 4, self._pause * 2)
        self._retry_at = now + random.uniform(0.5, 1.0) * self._pause
        if now - self._logged_at < LOG_EVERY:
            return False
        self._logged_at = now
        return True

    def over(self) -> bool:
        """Note that the database answers; say whether that is news."""
        now = time.monotonic()
        lasted, self.lasts = self.lasts, False
        # After a long one every lease has run out, and its holder is about to renew it. It began at the last
        # answer at the earliest: an idle worker may have noticed it late.
        if lasted and now - self._answered_at > self.lease / 2:
            self._trusts_at = now + self.lease
        self._answered_at = now
        return lasted

    def until_retry(self, now: float) -> float:
        """Return the seconds until the next try."""
        return self._retry_at - now if self.lasts else 0.0

    @property
    def recent(self) -> bool:
        """Whether other workers' leases may have run out only because they, too, were stalled or cut off."""
        return time.monotonic() < self._trusts_at
