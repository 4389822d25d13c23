"""``python -m benchmarks.install EXTRA`` installs what an extra names, each by itself, and goes on where one fails."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires


def main(extra: str) -> None:
    """Install what can be installed."""
    for requirement in requirements_of(extra, requires("djtasks") or []):
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        if subprocess.run([*pip, requirement]).returncode:
            print(f"!!!!! {requirement} cannot be installed here", file=sys.stderr)


def requirements_of(extra: str, all_of_them: list[str]) -> list[str]:
    """Return what an extra brings, as pip reads it."""
    marker = re.compile(rf"""\s*(;|\band)\s*extra == ["']{extra}["']""")
    return [marker.sub("", each) for each in all_of_them if marker.search(each)]


if __name__ == "__main__":
    main(*sys.argv[1:])
