"""Hosts of our own on one machine: network namespaces, each with a cable to the same bridge."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Self

NETWORK = "10.213.77"
DATABASE_HOST = f"{NETWORK}.1"
RULE = f"host all all {NETWORK}.0/24 trust\n"


class NoHosts(RuntimeError):
    """The system does not let us make network namespaces."""


class Hosts:
    """So many hosts; from each, what listens at ``DATABASE_HOST`` can be reached. They are gone afterwards."""

    def __init__(self, count: int) -> None:
        self.names = [f"djtasks-{os.getpid()}-{number}" for number in range(count)]
        self.bridge = f"djt{os.getpid()}"

    def __enter__(self) -> Self:
        try:
            self._ip(f"link add {self.bridge} type bridge")
            self._ip(f"address add {DATABASE_HOST}/24 dev {self.bridge}")
            self._ip(f"link set {self.bridge} up")
            for number, name in enumerate(self.names):
                self._join(name, f"{self.bridge}-{number}", f"{NETWORK}.{number + 2}")
        except NoHosts:
            self.__exit__()
            raise
        return self

    def _join(self, name: str, cable: str, address: str) -> None:
        self._ip(f"netns add {name}")
        self._ip(f"link add {cable} type veth peer name eth0 netns {name}")
        self._ip(f"link set {cable} master {self.bridge} up")
        self._ip(f"-n {name} address add {address}/24 dev eth0")
        self._ip(f"-n {name} link set eth0 up")

    def on(self, number: int) -> tuple[str, ...]:
        """Return what stands before a command that is to run on this host."""
        return ("ip", "netns", "exec", self.names[number])

    def __exit__(self, *exc_info: object) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True)

    def _ip(self, arguments: str) -> None:
        if not shutil.which("ip"):
            raise NoHosts("there is no program ip, which makes network namespaces (of Linux alone)")
        done = subprocess.run(["ip", *arguments.split()], capture_output=True, text=True)
        if done.returncode:
            raise NoHosts(f"ip {arguments}: {done.stderr.strip()}")
