"""What Django promises of its tasks holds for ours, on every Django that has them, and with the backport.

Without either, these tests are skipped, and say so.
"""

from __future__ import annotations

import warnings

import pytest

from djtasks.compat import HAS_TASKS, MISSING

if not HAS_TASKS:
    warnings.warn(f"the contract tests are SKIPPED: {MISSING}", stacklevel=1)
    pytest.skip(MISSING, allow_module_level=True)
