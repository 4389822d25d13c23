"""The tasks of procrastinate's side; those that reckon run in a thread, all others in the event loop."""

from __future__ import annotations

import asyncio

from procrastinate.contrib.django import app

from benchmarks import bodies


@app.task(name="add")
async def add(x: int, y: int) -> int:
    return bodies.add(x, y)


@app.task(name="millisecond")
def millisecond(x: int, y: int) -> int:
    return bodies.millisecond(x, y)


@app.task(name="compute")
def compute(x: int, y: int) -> int:
    return bodies.compute(x, y)


@app.task(name="wait")
async def wait(x: int, y: int) -> int:
    await asyncio.sleep(bodies.WAIT)
    return x + y


@app.task(name="begin")
async def begin(address: str) -> None:
    bodies.begin(address)


TASKS = {each.name: each for each in (add, millisecond, compute, wait, begin)}
