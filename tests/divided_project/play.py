"""``python -m tests.divided_project.play``: migrate both databases, send, work, look, and tell what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import django


def main() -> None:
    django.setup()
    from django.core.management import call_command
    from django.db import connections, transaction

    call_command("migrate", verbosity=0)
    call_command("migrate", database="queue", verbosity=0)
    tables = {alias: connections[alias].introspection.table_names() for alias in connections}

    from tests.divided_project.shop.tasks import found

    with transaction.atomic():
        handles = [found.delay("at once"), found.delay_on_commit("after the commit")]
    work = [sys.executable, "-m", "django", "runworker", "--burst", "--concurrency=1"]
    subprocess.run(work, check=True, stdout=sys.stderr)
    states = [handle.state for handle in handles]
    print(json.dumps({"tables": tables, "states": states, "groups": groups(), "pages": pages(handles[0].id)}))


def groups() -> list[str]:
    from django.contrib.auth.models import Group

    return list(Group.objects.order_by("pk").values_list("name", flat=True))


def pages(task_id: str) -> dict[str, Any]:
    """Say of each page of the control room whether it is there, and shows the task."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    names = ("task/", f"task/{task_id}/change/", "schedule/", "worker/", "")
    answers = {name: client.get(f"/admin/djtasks/{name}", follow=True) for name in names}
    shown = "tests.divided_project.shop.tasks.found"
    return {name.replace(task_id, "…"): [each.status_code, shown in each.text] for name, each in answers.items()}


if __name__ == "__main__":
    main()
