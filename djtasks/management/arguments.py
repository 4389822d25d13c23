"""What ``manage.py djtasks`` takes: its subcommands, their arguments, and what makes one acceptable (S20)."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any

from djtasks.domain import options, rates
from djtasks.domain.identifiers import canonical, check_priority, check_queue_name, check_task_name, signal_name
from djtasks.management.messages import LABELS
from djtasks.management.workers import QUESTIONS

Check = Callable[[str], Any]

# The arguments of each verb for workers, in the order in which they are written.
TAKEN: dict[str, tuple[str, ...]] = {
    "rate_limit": ("task_name", "rate_limit"),
    "time_limit": ("task_name", "soft", "hard"),
    "pool_grow": ("n",),
    "pool_shrink": ("n",),
    "pool_restart": (),
    "autoscale": ("max", "min"),
    "add_consumer": ("queue",),
    "cancel_consumer": ("queue",),
    "shutdown": (),
}


def of_inspect(parser: ArgumentParser) -> None:
    """Take a question, whom to ask, and of ``query_task`` and ``registered`` what about."""
    questions = parser.add_subparsers(dest="question", required=True, metavar="QUESTION")
    for question in QUESTIONS:
        asked = questions.add_parser(question)
        if question == "query_task":
            asked.add_argument("subjects", nargs="+", type=task_id, metavar="ID")
        elif question == "registered":
            asked.add_argument("subjects", nargs="*", metavar="OPTION", help="options to show of each task")
        _add_whom(asked)


def of_control(parser: ArgumentParser) -> None:
    """Take a verb and what it needs."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    revoke = verbs.add_parser("revoke", help="let messages never run; what runs is told")
    revoke.add_argument("ids", nargs="*", type=task_id, metavar="ID")
    revoke.add_argument("--task", type=task_name, help="all of this task")
    revoke.add_argument("--queue", type=queue_name, help="all of this queue")
    revoke.add_argument("--tag", help="all that bear this tag")
    revoke.add_argument("--stamp", dest="stamps", action="append", type=stamp, metavar="HEADER=VALUE")
    revoke.add_argument("--terminate", action="store_true", help="end the bodies of what runs")
    terminate = verbs.add_parser("terminate", help="revoke messages and end their bodies")
    terminate.add_argument("ids", nargs="+", type=task_id, metavar="ID")
    for each in (revoke, terminate):
        each.add_argument("--signal", default="SIGTERM", type=_checked(signal_name), help="by which bodies are ended")
        _add_json(each)
    for verb, taken in TAKEN.items():
        told = verbs.add_parser(verb)
        for name in taken:
            told.add_argument(name, **_VALUES[name])
        _add_whom(told)


def of_status(parser: ArgumentParser) -> None:
    """Take nothing but the form."""
    _add_json(parser)


def of_purge(parser: ArgumentParser) -> None:
    """Take queues."""
    parser.add_argument("-Q", "--queues", type=queue_names, help="comma-separated queues (default: all)")
    parser.add_argument("-f", "--force", action="store_true", help="do not ask")
    _add_json(parser)


def of_pause(parser: ArgumentParser) -> None:
    """Take queues."""
    parser.add_argument("queues", nargs="+", type=queue_name, metavar="QUEUE")
    _add_json(parser)


def of_list(parser: ArgumentParser) -> None:
    """Take filters."""
    parser.add_argument("--state", choices=LABELS)
    parser.add_argument("--task", type=task_name)
    parser.add_argument("--queue", type=queue_name)
    parser.add_argument("--limit", type=count, default=50, help="show no more than so many (default: 50)")
    _add_json(parser)


def of_result(parser: ArgumentParser) -> None:
    """Take an id."""
    parser.add_argument("id", type=task_id)
    _add_json(parser)


def of_call(parser: ArgumentParser) -> None:
    """Take a name, arguments and options of the call."""
    parser.add_argument("name", type=task_name)
    # Django keeps "args" for itself.
    parser.add_argument("-a", "--args", dest="positional", type=json_list, default=[], metavar="JSON")
    parser.add_argument("-k", "--kwargs", dest="keyword", type=json_dict, default={}, metavar="JSON")
    parser.add_argument("--countdown", type=seconds, help="run it in so many seconds")
    parser.add_argument("--expires", type=seconds, help="do not run it after so many seconds")
    parser.add_argument("--queue", type=queue_name)
    parser.add_argument("--priority", type=_checked(lambda text: check_priority(int(text))))
    _add_json(parser)


def of_schedule(parser: ArgumentParser) -> None:
    """Take what to do with which schedule."""
    deeds = parser.add_subparsers(dest="deed", required=True, metavar="DEED")
    _add_json(deeds.add_parser("list", help="show all schedules"))
    following = deeds.add_parser("next", help="show when one is due next")
    following.add_argument("name", metavar="NAME")
    following.add_argument("-n", "--count", type=count, default=5, help="so many times (default: 5)")
    _add_json(following)
    for deed, text in (("enable", "let them send again, from now on"), ("disable", "let them send nothing")):
        switch = deeds.add_parser(deed, help=text)
        switch.add_argument("names", nargs="+", metavar="NAME")
        _add_json(switch)
    run = deeds.add_parser("run", help="send its message now, beside its times")
    run.add_argument("name", metavar="NAME")
    _add_json(run)


def of_import(parser: ArgumentParser) -> None:
    """Take where the tables are, and what may be written."""
    parser.add_argument("--database", metavar="ALIAS", help="where they are (default: where the queue is)")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    parser.add_argument("--update", action="store_true", help="change schedules that are there already")
    parser.add_argument("--disabled", action="store_true", help="disable all that are made or changed")
    _add_json(parser)


SUBCOMMANDS: dict[str, tuple[str, Callable[[ArgumentParser], None]]] = {
    "inspect": ("ask workers what they do", of_inspect),
    "control": ("revoke messages, and tell workers what to do", of_control),
    "status": ("show workers and queues", of_status),
    "purge": ("delete the messages that wait", of_purge),
    "pause": ("let workers receive nothing more from queues", of_pause),
    "resume": ("let workers receive from queues again", of_pause),
    "list": ("list the messages that live", of_list),
    "result": ("show what is known of a task", of_result),
    "call": ("send a task", of_call),
    "schedule": ("show schedules, enable, disable and run them", of_schedule),
    "import_celery_beat": ("make schedules of django-celery-beat's tables", of_import),
}


def _add_whom(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-d", "--destination", type=names, help="comma-separated names or ids of workers (default: all)"
    )
    parser.add_argument("-t", "--timeout", type=seconds, default=1.0, help="seconds to wait for answers (default: 1)")
    _add_json(parser)


def _add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write JSON, for programs")


def _checked(check: Check) -> Check:
    """Turn what a rule raises into words for whoever typed it."""

    def value(text: str) -> Any:
        try:
            return check(text)
        except (TypeError, ValueError) as error:
            raise ArgumentTypeError(str(error)) from None

    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a whole number from 1")
    return int(text)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(f"{text!r} is not a number of seconds")
    return value


def _limit(text: str) -> float | None:
    if text.lower() == "none":
        return None
    options.check_time_limit(float(text))
    return float(text)


def _rate(text: str) -> str:
    rates.rate_of(text)
    return text


def _names(text: str) -> list[str]:
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise ValueError("name at least one")
    return found


def _stamp(text: str) -> tuple[str, str]:
    header, is_there, value = text.partition("=")
    if not header or not is_there:
        raise ValueError(f"write a stamp as HEADER=VALUE, not {text!r}")
    return header, value


def _json(text: str, kind: type) -> Any:
    value = json.loads(text)
    if not isinstance(value, kind):
        raise TypeError(f"expected a JSON {'list' if kind is list else 'object'}, not {text:.80}")
    return value


count = _checked(_count)
seconds = _checked(_seconds)
names = _checked(_names)
stamp = _checked(_stamp)
queue_name = _checked(check_queue_name)
queue_names = _checked(lambda text: [check_queue_name(name) for name in _names(text)])
task_name = _checked(check_task_name)
task_id = _checked(canonical)
json_list = _checked(lambda text: _json(text, list))
json_dict = _checked(lambda text: _json(text, dict))

_VALUES: dict[str, dict[str, Any]] = {
    "task_name": {"type": task_name, "metavar": "TASK"},
    "rate_limit": {"type": _checked(_rate), "metavar": "RATE", "help": "10/s, 10/m, 10/h; 0 lifts the limit"},
    "soft": {"type": _checked(_limit), "metavar": "SOFT", "help": "seconds, or none"},
    "hard": {"type": _checked(_limit), "metavar": "HARD", "nargs": "?", "help": "seconds, or none"},
    "n": {"type": count, "nargs": "?", "default": 1},
    "max": {"type": count, "metavar": "MAX"},
    "min": {"type": count, "metavar": "MIN"},
    "queue": {"type": queue_name, "metavar": "QUEUE"},
}
