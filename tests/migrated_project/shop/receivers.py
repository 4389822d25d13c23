"""Receivers as Celery's users write them."""

from djtasks.signals import task_failure, task_prerun, task_success  # celery.signals
from tests.migrated_project.shop.tasks import render_thumbnail

heard = []


@task_prerun.connect
def hear_prerun(sender=None, task_id=None, task=None, args=None, kwargs=None, **kw):
    heard.append(("prerun", task.name))


@task_success.connect(sender=render_thumbnail)
def hear_success(sender=None, result=None, **kw):
    heard.append(("success", result))


@task_failure.connect
def hear_failure(sender=None, task_id=None, exception=None, einfo=None, **kw):
    heard.append(("failure", str(exception)))
