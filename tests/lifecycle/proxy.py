"""A forwarder between a worker and PostgreSQL that holds or loses what passes; it understands nothing of it."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import threading
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg

CHUNK = 256 * 1024


class FaultProxy:
    """Listens on a unix socket of its own.

    ``losing`` is the share of the server's answers that are lost together with their connection: what was asked has
    been done, and nobody hears of it. ``cutting`` is the share of requests after which the connection is cut at once:
    they are done sooner or later, or not at all. ``holding`` is for how many seconds each answer is held back. While
    it is ``stalled`` nothing passes, and nobody is told.
    """

    def __init__(self, target: str, *, losing: float = 0.0, cutting: float = 0.0, holding: float = 0.0) -> None:
        self.losing = losing
        self.cutting = cutting
        self.holding = holding
        self.stalled = False
        self.cuts = 0
        given = {key: str(value) for key, value in psycopg.conninfo.conninfo_to_dict(target).items()}
        self._host, self._port = given.get("host", "localhost"), given.get("port") or "5432"
        self._directory = tempfile.TemporaryDirectory(prefix="proxy-", dir="/tmp")
        password = f":{quote(given['password'])}" if "password" in given else ""
        # The server behind it speaks TLS to none of us: the forwarder would break its promise.
        self.url = (
            f"postgresql://{given.get('user', '')}{password}@/{given.get('dbname', '')}"
            f"?host={self._directory.name}&port={self._port}&sslmode=disable"
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._directory.cleanup()

    async def _listen(self) -> None:
        path = os.path.join(self._directory.name, f".s.PGSQL.{self._port}")
        self._server = await asyncio.start_unix_server(self._serve, path)

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self._host.startswith("/"):
            server, to_server = await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        else:
            server, to_server = await asyncio.open_connection(self._host, int(self._port))
        pumps = [
            asyncio.create_task(self._pass_requests(client, to_server)),
            asyncio.create_task(self._pass_answers(server, to_client)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            to_client.transport.abort()
            to_server.close()

    async def _pass_requests(self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        while data := await client.read(CHUNK):
            await self._flow()
            to_server.write(data)
            await to_server.drain()
            if self._strikes(self.cutting):
                return

    async def _pass_answers(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        while data := await server.read(CHUNK):
            if self._strikes(self.losing):
                return
            await self._flow()
            if self.holding:
                await asyncio.sleep(self.holding)
            to_client.write(data)
            await to_client.drain()

    async def _flow(self) -> None:
        while self.stalled:
            await asyncio.sleep(0.02)

    def _strikes(self, share: float) -> bool:
        struck = random.random() < share
        self.cuts += struck
        return struck
