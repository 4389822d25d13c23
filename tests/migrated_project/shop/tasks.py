"""Tasks as Celery's users write them; the import lines alone have changed."""

import time

from djtasks import Task, current_task, shared_task  # celery
from djtasks.exceptions import Ignore, MaxRetriesExceededError, SoftTimeLimitExceeded  # celery.exceptions


class MailServerDown(Exception):
    pass


class OutOfStock(Exception):
    pass


def note(path, word):
    with open(path, "a") as file:
        file.write(f"{word}\n")


class Audited(Task):
    abstract = True

    def before_start(self, task_id, args, kwargs):
        note(args[0], f"before_start {self.name.rpartition('.')[2]}")

    def on_success(self, retval, task_id, args, kwargs):
        note(args[0], f"on_success {retval}")

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note(args[0], f"on_failure {exc}")

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        note(args[0], f"on_retry {self.request.retries}")

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        note(args[0], f"after_return {status}")


@shared_task(bind=True, max_retries=5, default_retry_delay=1)
def send_receipt(self, fails=2):
    try:
        if self.request.retries < fails:
            raise MailServerDown("no route to host")
    except MailServerDown as exc:
        raise self.retry(exc=exc, countdown=0)  # noqa: B904, as Celery's guide has it
    return {"retries": self.request.retries, "queue": self.request.delivery_info["routing_key"]}


@shared_task(bind=True, base=Audited, max_retries=1, default_retry_delay=0)
def send_in_vain(self, path):
    try:
        self.retry()
    except MaxRetriesExceededError:
        raise MailServerDown("given up") from None


@shared_task(
    bind=True,
    autoretry_for=(ConnectionError,),
    retry_backoff=1,
    retry_backoff_max=1,
    retry_jitter=False,
    retry_kwargs={"max_retries": 3},
    acks_late=True,
)
def charge(self, order, customer=None):
    if self.request.retries == 0:
        raise ConnectionResetError("the bank hung up")
    return [
        order,
        self.request.retries,
        self.request.delivery_info["routing_key"],
        self.request.delivery_info["priority"],
    ]


@shared_task(base=Audited, time_limit=60, soft_time_limit=30, rate_limit="600/m")
def render_thumbnail(path, size):
    return size * 2


@shared_task(soft_time_limit=1, time_limit=30)
def render_poster(seconds):
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded:
        return "draft"
    return "poster"


@shared_task(ignore_result=True)
def count_visit(path):
    note(path, "visit")


@shared_task(throws=(OutOfStock,))
def reserve_item(item):
    raise OutOfStock(item)


@shared_task(bind=True)
def remind(self, path):
    if self.request.eta is None:
        raise Ignore()
    note(path, "reminded")
    return current_task.name == self.name


@shared_task(name="shop.fan_out", expires=3600)
def fan_out(path, visits):
    for _ in range(visits):
        count_visit.delay(path)
    return charge.apply_async((1,), {"customer": "big"}).id
