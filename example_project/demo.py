#!/usr/bin/env python
"""Show djtasks at work on mails, sounds and pages, kill a worker in the middle, and count what is true in the end.

With ONCE=1 it ends by itself, with status 0 only if everything came out right. DATABASE_URL moves it to another
database.
"""

import os
import sys
import time

import django

if __name__ == "__main__":
    name = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("DEBUG", "on")
    # A queue to itself, since others may use the same database.
    os.environ["TASK_DEFAULT_QUEUE"] = f"demo-{name}"
    django.setup()
    from demonstration.show import show

    sys.exit(show(name, once=os.environ.get("ONCE", "") not in ("", "0")))
