"""``python -m benchmarks [NAME …] [OPTION …]``: the programs of these names, or all of them (``PROGRAMS``)."""

from __future__ import annotations

import sys
from itertools import takewhile

try:
    from benchmarks import admin, backlogs, drain, idle, limits, scaling, schedules, snapshot, workflows
except ModuleNotFoundError as error:
    print(f"{error}: the benchmarks need what pip install -e .[bench] brings", file=sys.stderr)
    sys.exit(2)

PROGRAMS = {
    "drain": drain.main,
    "workflows": workflows.main,
    "schedules": schedules.main,
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
    if unknown := set(names) - PROGRAMS.keys():
        print(f"no benchmark is named {', '.join(sorted(unknown))}; there are {', '.join(PROGRAMS)}", file=sys.stderr)
        return 2
    for name in names or PROGRAMS:
        if status := PROGRAMS[name](arguments[len(names) :]):
            return status
    return 0


sys.exit(main(sys.argv[1:]))
