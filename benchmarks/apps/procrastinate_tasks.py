"""The tasks of procrastinate's side; those that wait do so in the event loop that runs them all."""

from __future__ import annotations

import asyncio

from procrastinate.contrib.django import app

from benchmarks.bodies import BODIES, WAIT

TASKS = {name: app.task(name=name)(body) for name, body in BODIES.items() if name != "wait"}


@app.task(name="wait")
async def wait(x: int, y: int) -> int:
    await asyncio.sleep(WAIT)
    return x + y


TASKS["wait"] = wait
