"""``python -m benchmarks [NAME …] [OPTION …]``: the programs of these names, or all of them (``PROGRAMS``)."""

from __future__ import annotations

import sys
from itertools import takewhile

try:
    from benchmarks import (
        admin,
        backlogs,
        drain,
        idle,
        limits,
        requests,
        scaling,
        schedules,
        snapshot,
        summary,
        waiting,
        workflows,
    )
except ModuleNotFoundError as error:
    print(f"{error}: the benchmarks need what pip install -e .[bench] brings", file=sys.stderr)
    sys.exit(2)

PROGRAMS = {
    "drain": drain.main,
    "workflows": workflows.main,
    "requests": requests.main,
    "schedules": schedules.main,
    "waiting": waiting.main,
    "backlogs": backlogs.main,
    "snapshot": snapshot.main,
    "idle": idle.main,
    "scaling": scaling.main,
    "limits": limits.main,
    "admin": admin.main,
}


def main(arguments: list[str]) -> int:
    """Run programs one after the other, all with the same options; return the first exit status that is not 0."""
    names = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    if unknown := set(names) - PROGRAMS.keys() - {"summary"}:
        known = ", ".join([*PROGRAMS, "summary"])
        print(f"no benchmark is named {', '.join(sorted(unknown))}; there are {known}", file=sys.stderr)
        return 2
    for name in [name for name in names if name in PROGRAMS] or (PROGRAMS if not names else ()):
        if status := PROGRAMS[name](arguments[len(names) :]):
            return status
    return summary.main() if "summary" in names or not arguments else 0


sys.exit(main(sys.argv[1:]))
