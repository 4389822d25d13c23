"""``python -m benchmarks`` is ``python -m benchmarks.drain``."""

from __future__ import annotations

import sys

try:
    from benchmarks.drain import main
except ModuleNotFoundError as error:
    print(f"{error}: the benchmarks need what pip install -e .[bench] brings", file=sys.stderr)
    sys.exit(2)

sys.exit(main())
