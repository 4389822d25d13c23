"""The processes of the example: started here, and ended here, whatever happens."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"
PATIENCE_SECONDS = 15


class Processes:
    """Management commands that run beside this process; all of them end when the context does."""

    def __init__(self, logs: Path, environment: dict[str, str]) -> None:
        self.logs = logs
        self._environment = os.environ | environment
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._killed: set[str] = set()
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._started.values():
            process.terminate()
        for process in self._started.values():
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, name: str, *arguments: str) -> int:
        """Start ``manage.py`` with these arguments and return its process id; what it says goes to the log ``name``."""
        with self.log(name).open("wb") as log:
            self._started[name] = subprocess.Popen(
                [sys.executable, str(MANAGE), *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for this process, which then ends the others in order.
                start_new_session=True,
            )
        return self._started[name].pid

    def kill(self, name: str) -> None:
        """End a process as a power cut would, with no chance to put anything in order."""
        self._killed.add(name)
        self._started[name].kill()
        self._started[name].wait()

    def alive(self, prefix: str) -> list[str]:
        return [name for name, process in self._started.items() if name.startswith(prefix) and process.poll() is None]

    def require_all(self) -> None:
        """Raise if a process ended that nobody killed."""
        for name, process in self._started.items():
            if name not in self._killed and process.poll() is not None:
                raise ProcessEnded(f"{name} ended with status {process.returncode}:\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 30) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


class ProcessEnded(RuntimeError):
    """A process of the demonstration ended by itself."""
