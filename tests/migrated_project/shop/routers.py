"""A router as Celery's guide shows it."""


def by_customer(name, args, kwargs, options, task=None, **kw):
    if kwargs.get("customer") == "big":
        return {"queue": "vip", "priority": 9}
    return None
