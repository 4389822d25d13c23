"""Do again what was undone for the sake of others: deadlocks, and waits for locks that were too long (B3, C12, C22)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import DatabaseError

from djtasks.broker.vendors import Vendor

P = ParamSpec("P")
Answer = TypeVar("Answer")

ATTEMPTS = 5


def patiently(vendor: Vendor, act: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
    """Do what is one transaction on this vendor's connection, and do it again for as long as that may help.

    Within a transaction that is open it is a part of that, and is done again as long as the rest still stands.
    """
    attempts = 0
    while True:
        try:
            with vendor.guarded():
                return act(*args, **kwargs)
        except DatabaseError as error:
            attempts += 1
            # MySQL ends a deadlock by undoing a whole transaction, which is its owner's to do again.
            if attempts == ATTEMPTS or not vendor.is_transient(error) or vendor.connection.needs_rollback:
                raise
            time.sleep(random.uniform(0, 0.01 * 2**attempts))
