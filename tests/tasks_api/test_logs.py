"""Lines of the log say which run they come from, and cannot be forged."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.dispatch import Signal

import djtasks
from djtasks import get_task_logger, shared_task, signals
from djtasks.conf import problems
from djtasks.domain.identifiers import uuid7
from djtasks.tasks import attempt
from djtasks.tasks.context import Request
from djtasks.tasks.logs import MARGIN, JsonFormatter, TaskFilter, TextFormatter
from djtasks.worker.logs import set_up_logging

EVIL = "a\n[CRITICAL] forged \x1b[31mred \u202eturned\r"
ID = str(uuid7())
anybody = logging.getLogger("some.library")


class Shown(io.StringIO):
    """What a handler of ours has written."""

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()


@pytest.fixture
def handle() -> Iterator[Callable[[logging.Formatter], Shown]]:
    made: list[logging.Handler] = []
    root = logging.getLogger()
    level = root.level

    def handle(formatter: logging.Formatter) -> Shown:
        shown = Shown()
        handler = logging.StreamHandler(shown)
        handler.setFormatter(formatter)
        handler.addFilter(TaskFilter())
        root.addHandler(handler)
        made.append(handler)
        root.setLevel(logging.INFO)
        return shown

    yield handle
    root.setLevel(level)
    for handler in made:
        root.removeHandler(handler)


def run(body: Callable[..., Any], *args: Any, **options: Any) -> None:
    """Run a task as a worker does, and have it reported."""
    task = shared_task(name="shop.pay", **options)(body)
    request = Request(id=ID, task=task.name, args=args, retries=1, called_directly=False)
    attempt.report(task, request, attempt.make(task, request))


def test_each_line_of_a_task_names_its_run(handle: Callable[..., Shown], settings: Any) -> None:
    """Whoever logs it: the task, a library, or the worker when the task is over."""
    settings.DJTASKS = {
        "WORKER_LOG_FORMAT": "%(task_id)s %(task_name)s %(attempt)s %(message)s",
        "WORKER_TASK_LOG_FORMAT": "in task: %(task_id)s %(task_name)s %(attempt)s %(message)s",
    }
    shown = handle(TextFormatter())

    def body() -> None:
        anybody.warning("from a library")
        get_task_logger(__name__).info("from %s", "the task")

    anybody.warning("before")
    run(body)
    succeeded = shown.lines.pop()
    assert shown.lines[:1] == ["- - - before"]
    assert shown.lines[1:3] == [f"in task: {ID} shop.pay 2 from a library", f"in task: {ID} shop.pay 2 from the task"]
    assert succeeded.startswith(f"{ID} shop.pay 2 shop.pay[{ID}] succeeded in ")


def test_default_formats_are_like_those_of_celery(handle: Callable[..., Shown]) -> None:
    shown = handle(TextFormatter())
    run(lambda: anybody.info("hello"))
    first, second = shown.lines
    assert f"INFO/{os.getpid()}] shop.pay[{ID}] attempt 2: hello" in first
    assert f"] shop.pay[{ID}] succeeded in" in second


def test_logger_of_a_module_of_tasks_is_below_that_of_all_tasks() -> None:
    logger = get_task_logger("shop.tasks")
    assert logger.name == "djtasks.task.shop.tasks" and logger.parent is logging.getLogger("djtasks.task")
    assert djtasks.get_task_logger is get_task_logger


def test_no_field_can_forge_a_line(handle: Callable[..., Shown]) -> None:
    """S13: neither an argument of the message, nor the name of a task, nor what an exception says."""
    shown = handle(TextFormatter())

    def body() -> None:
        anybody.info("got %s", EVIL)
        anybody.info(EVIL)
        raise ValueError(EVIL) from LookupError(EVIL)

    run(body)
    anybody.info("x", extra={"task_id": EVIL, "task_name": EVIL, "attempt": 1, "in_task": True})
    assert "ValueError: a\\n[CRITICAL] forged \\x1b[31mred \\u202eturned\\r" in shown.getvalue()
    assert not {"\x1b", "\u202e", "\r"} & set(shown.getvalue())
    for line in shown.lines:
        assert line.startswith(("[", MARGIN)) and not line.startswith("[CRITICAL]")
        assert not line.lstrip().startswith("[CRITICAL]")


@pytest.mark.parametrize("kind", ["notes", "group", "syntax", "file"])
def test_no_part_of_a_traceback_can_forge_a_line(handle: Callable[..., Shown], kind: str) -> None:
    """S13."""
    shown = handle(TextFormatter())

    def body() -> None:
        error: BaseException = ValueError("plain")
        match kind:
            case "notes":
                error.add_note(EVIL)
            case "group":
                error = ExceptionGroup(EVIL, [ValueError(EVIL), ExceptionGroup("in", [KeyError(EVIL)])])
            case "syntax":
                compile("a\n =", EVIL, "exec")
            case "file":
                exec(compile("raise ValueError", EVIL, "exec"), {})  # noqa: S102 - a file of this name
        raise error

    run(body)
    assert not {"\x1b", "\u202e", "\r"} & set(shown.getvalue())
    assert len(shown.lines) > 3 and all(line.startswith(("[2", MARGIN)) for line in shown.lines)


def test_traceback_keeps_its_own_lines(handle: Callable[..., Shown]) -> None:
    shown = handle(TextFormatter())

    def body() -> None:
        raise ValueError("no")

    run(body)
    first, second, *frames, last = shown.lines
    assert first.endswith(f"shop.pay[{ID}] failed") and second == f"{MARGIN}Traceback (most recent call last):"
    assert len(frames) >= 4 and all(frame.startswith(f"{MARGIN}  ") for frame in frames)
    assert last == f"{MARGIN}ValueError: no"


def test_json_is_one_object_a_line(handle: Callable[..., Shown]) -> None:
    """S13."""
    shown = handle(JsonFormatter())

    def body() -> None:
        anybody.info(EVIL, extra={"order": 7, "odd": object, "message_": "x"}, stack_info=True)
        raise ValueError(EVIL)

    anybody.info("before")
    run(body)
    before, said, failed = map(json.loads, shown.lines)
    assert shown.getvalue().isascii() and len(shown.lines) == 3
    assert before["message"] == "before" and before["level"] == "INFO" and "task_id" not in before
    assert (said["message"], said["order"], said["logger"]) == (EVIL, 7, "some.library")
    assert (said["task_id"], said["task_name"], said["attempt"]) == (ID, "shop.pay", 2)
    assert failed["task_id"] == ID and failed["level"] == "ERROR" and "ValueError" in failed["traceback"]


def test_value_that_cannot_be_shown_loses_no_line(handle: Callable[..., Shown]) -> None:
    """E8."""

    class Unspeakable:
        def __str__(self) -> str:
            raise RuntimeError

    shown = handle(JsonFormatter())
    anybody.info("x", extra={"odd": Unspeakable()})
    assert json.loads(shown.lines[0])["odd"] == "<Unspeakable>"


def test_huge_exception_is_cut(handle: Callable[..., Shown]) -> None:
    """E8, E4."""
    shown = handle(TextFormatter())

    def body() -> None:
        raise ValueError("x" * 5_000_000)

    run(body)
    assert len(shown.getvalue()) < 100_000 and "characters left out" in shown.getvalue()


# Setting up


@contextmanager
def bare_loggers() -> Iterator[logging.Logger]:
    """Have loggers as they are where a project says nothing about logging; pytest's own handlers are away, too."""
    root, ours = logging.getLogger(), logging.getLogger("djtasks")
    kept = root.handlers[:], root.level, ours.handlers[:], ours.level
    root.handlers[:], ours.handlers[:] = [], []
    root.setLevel(logging.WARNING)
    try:
        yield root
    finally:
        root.handlers[:], ours.handlers[:] = kept[0], kept[2]
        root.setLevel(kept[1])
        ours.setLevel(kept[3])


def test_worker_shows_what_nobody_shows() -> None:
    with bare_loggers() as root:
        set_up_logging("info")
        (handler,) = root.handlers
        assert isinstance(handler.formatter, TextFormatter) and root.level == logging.INFO


@pytest.mark.parametrize(("chosen", "form"), [("%(message)s", "json"), ("json", None)])
def test_json_is_chosen_by_option_or_setting(settings: Any, chosen: str, form: str | None) -> None:
    settings.DJTASKS = {"WORKER_LOG_FORMAT": chosen}
    with bare_loggers() as root:
        set_up_logging("info", form)
        assert isinstance(root.handlers[0].formatter, JsonFormatter)


def test_text_is_text_where_the_setting_says_json(settings: Any) -> None:
    settings.DJTASKS = {"WORKER_LOG_FORMAT": "json"}
    with bare_loggers() as root:
        set_up_logging("info", "text")
        line = root.handlers[0].format(logging.makeLogRecord({"msg": "hello"}))
    assert line.startswith("[") and line.endswith("] hello")


@pytest.mark.parametrize("name", ["djtasks", ""])
def test_logging_of_the_project_is_left_alone(name: str) -> None:
    with bare_loggers() as root:
        own = logging.NullHandler()
        logging.getLogger(name).addHandler(own)
        set_up_logging("debug")
        assert [*logging.getLogger("djtasks").handlers, *root.handlers] == [own]
        assert root.level == logging.WARNING


class heard:
    """What a signal tells while this is entered."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.facts: list[dict[str, Any]] = []

    def _receive(self, **facts: Any) -> None:
        self.facts.append(facts)

    def __enter__(self) -> list[dict[str, Any]]:
        self.signal.connect(self._receive)
        return self.facts

    def __exit__(self, *exc_info: object) -> None:
        self.signal.disconnect(self._receive)


def test_receiver_of_setup_logging_does_it_all() -> None:
    """MON-2."""
    with bare_loggers() as root, heard(signals.setup_logging) as facts:
        set_up_logging("info")
        assert not root.handlers and [each["loglevel"] for each in facts] == ["INFO"]


def test_loggers_can_be_set_up_further() -> None:
    """MON-2."""
    with (
        bare_loggers() as root,
        heard(signals.after_setup_logger) as facts,
        heard(signals.after_setup_task_logger) as of_tasks,
    ):
        set_up_logging("info")
    assert [(each["logger"], each["format"]) for each in facts] == [(root, "text")]
    assert [each["logger"] for each in of_tasks] == [logging.getLogger("djtasks.task")]


@pytest.mark.parametrize("value", ["%(nonsense)s", "%(message)d", "%(message", "", None, 7])
def test_format_that_cannot_work_is_refused(value: Any) -> None:
    assert problems({"WORKER_LOG_FORMAT": value})


@pytest.mark.parametrize("value", ["json", "%(message)s", "%(asctime)s %(process)d %(task_id)s %(attempt)s %(lineno)d"])
def test_format_that_works_is_taken(value: str) -> None:
    assert not problems({"WORKER_LOG_FORMAT": value})
