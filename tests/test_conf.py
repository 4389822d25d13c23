"""``settings.DJTASKS``: defaults, problems, and that changes are seen."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured as DjangoImproperlyConfigured
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from djtasks.conf import Settings, problems, settings
from djtasks.exceptions import ImproperlyConfigured


@override_settings(DJTASKS={})
def test_every_setting_has_a_default_that_is_right_and_a_line_about_it() -> None:
    for each in fields(Settings):
        assert getattr(settings, each.name) == each.default
        assert problems({each.name: each.default}) == []
        assert each.metadata["doc"]


def test_the_dict_may_be_missing() -> None:
    with override_settings(DJTASKS={"LEASE_SECONDS": 5}):
        delattr(django_settings, "DJTASKS")
        assert settings.LEASE_SECONDS == 30


def test_a_changed_setting_is_seen_at_once() -> None:
    with override_settings(DJTASKS={"POLL_SECONDS": 5}):
        assert settings.POLL_SECONDS == 5
        with override_settings(DJTASKS={"POLL_SECONDS": 7, "RESULT_EXPIRES": None}):
            assert settings.POLL_SECONDS == 7
            assert settings.result_expires_seconds is None
        with override_settings(DEBUG=True):
            assert settings.POLL_SECONDS == 5
        assert settings.result_expires_seconds == 86_400


def test_an_invalid_dict_raises_its_first_problem_whatever_is_read() -> None:
    with override_settings(DJTASKS={"LEASE_SECOND": 5, "NOTIFY": 1}):
        for _ in range(2):
            with pytest.raises(ImproperlyConfigured, match=r"no setting 'LEASE_SECOND'\. Did you mean 'LEASE_SECONDS'"):
                assert settings.TASK_ACKS_LATE
        with pytest.raises(DjangoImproperlyConfigured):
            assert settings.DATABASE
    assert settings.TASK_ACKS_LATE is False


def test_a_setting_that_does_not_exist_is_an_attribute_error() -> None:
    with override_settings(DJTASKS={}), pytest.raises(AttributeError):
        settings.NO_SUCH_SETTING  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, None), (0, None), (timedelta(), None), (60, 60), (1.5, 1.5), (timedelta(days=2), 172_800)],
)
def test_results_expire_after_seconds_or_never(given: Any, seconds: float | None) -> None:
    """RES-14."""
    assert Settings(RESULT_EXPIRES=given).result_expires_seconds == seconds


ACCEPTED: list[dict[str, Any]] = [
    {"LEASE_SECONDS": 1, "POLL_SECONDS": 0.5, "MAX_DELIVERIES": 1},
    {"NOTIFY": True},
    {"NOTIFY": False},
    {"RESULT_EXPIRES": timedelta(days=1)},
    {"TASK_MAX_RETRIES": None, "WORKER_CONCURRENCY": 8, "WORKER_POOL": "threads"},
    {"WORKER_QUEUES": ["mail", "default"]},
    {"WORKER_POOL": "prefork"},
    {"IMPORTS": ["shop.jobs"], "INCLUDE": ("shop.more",)},
    {"TASK_QUEUES": ["mail"], "TASK_CREATE_MISSING_QUEUES": False},
    {"TASK_ROUTES": {"shop.*": "mail"}, "TASK_ANNOTATIONS": {"*": {"rate_limit": "1/s"}}},
    {"TASK_DEFAULT_PRIORITY": -100, "TASK_DEFAULT_QUEUE": "a.b:c"},
]


@pytest.mark.parametrize("raw", ACCEPTED, ids=str)
def test_right_values_are_accepted(raw: dict[str, Any]) -> None:
    assert problems(raw) == []


@pytest.mark.parametrize(
    ("name", "value", "code", "text"),
    [
        ("LEASE_SECONDS", 0.5, "E009", "expected a number of at least 1"),
        ("LEASE_SECONDS", "30", "E007", "expected a number of at least 1"),
        ("LEASE_SECONDS", True, "E007", "expected a number"),
        ("POLL_SECONDS", 0, "E007", "expected a number of at least 0.001"),
        ("POLL_SECONDS", float("nan"), "E007", "expected a number"),
        ("POLL_SECONDS", float("inf"), "E007", "expected a number"),
        ("POLL_SECONDS", None, "E007", "expected a number"),
        ("MAX_DELIVERIES", 0, "E007", "expected an int of at least 1"),
        ("MAX_DELIVERIES", 2.0, "E007", "expected an int"),
        ("MAX_PAYLOAD_BYTES", None, "E007", "expected an int"),
        ("DATABASE", "", "E007", "an alias of DATABASES"),
        ("DATABASE", 5, "E007", "an alias of DATABASES"),
        ("NOTIFY", 1, "E007", "expected one of 'auto', True, False"),
        ("NOTIFY", "yes", "E007", "expected one of 'auto', True, False"),
        ("TASK_ACKS_LATE", 1, "E007", "expected True or False"),
        ("TASK_ACKS_LATE", "False", "E007", "expected True or False"),
        ("TASK_DEFAULT_QUEUE", "two words", "E007", "is no name for a queue"),
        ("TASK_DEFAULT_PRIORITY", 101, "E007", "between -100 and 100"),
        ("TASK_DEFAULT_PRIORITY", "5", "E007", "a priority is an int"),
        ("TASK_MAX_RETRIES", -1, "E007", "expected an int of at least 0 or None"),
        ("RESULT_EXPIRES", -1, "E007", "a number of seconds, a timedelta, or None"),
        ("RESULT_EXPIRES", timedelta(-1), "E007", "a timedelta"),
        ("RESULT_EXPIRES", "1d", "E007", "a timedelta"),
        ("WORKER_POOL", "gevent", "E007", "expected one of 'processes', 'threads', 'eventloop', 'solo'"),
        ("WORKER_POOL", ["threads"], "E007", "expected one of"),
        ("WORKER_QUEUES", "mail", "E007", "a list of queue names"),
        ("WORKER_QUEUES", [], "E007", "a list of queue names"),
        ("WORKER_QUEUES", ["a b"], "E007", "is no name for a queue"),
        ("IMPORTS", "shop.tasks", "E007", "a list of names of modules"),
        ("INCLUDE", [""], "E007", "a list of names of modules"),
        ("TASK_QUEUES", ["two words"], "E007", "is no name for a queue"),
        ("TASK_QUEUES", "mail", "E007", "a list of queue names"),
        ("WORKER_CONCURRENCY", 0, "E007", "expected an int of at least 1 or None"),
    ],
)
def test_a_wrong_value_is_a_problem_that_says_what_is_right(name: str, value: Any, code: str, text: str) -> None:
    [problem] = problems({name: value})
    assert problem.code == code
    assert problem.text.startswith(f"DJTASKS[{name!r}] = ")
    assert text in problem.text
    assert name in problem.hint


@pytest.mark.parametrize("raw", [None, [], "x", 5])
def test_what_is_no_dict_is_one_problem(raw: object) -> None:
    [problem] = problems(raw)
    assert problem.code == "E001"
    assert "DJTASKS is a dict" in problem.text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("LEASE_SECOND", "Did you mean 'LEASE_SECONDS'?"),
        ("lease_seconds", "Did you mean 'LEASE_SECONDS'?"),
        ("CELERY_TASK_ACKS_LATE", "Did you mean 'TASK_ACKS_LATE'?"),
        ("TASK_ACKS_ON_FAILUR", "Did you mean 'TASK_ACKS_ON_FAILURE'?"),
        ("CONCURRENCY", "Did you mean 'WORKER_CONCURRENCY'?"),
        ("XYZZY", "Remove it"),
        (5, "Remove it"),
    ],
)
def test_an_unknown_name_is_a_problem_with_the_nearest_right_one(name: Any, hint: str) -> None:
    [problem] = problems({name: 1})
    assert problem.code == "E002"
    assert problem.hint.startswith(hint)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("BROKER_URL", "The broker is a table"),
        ("CELERY_BROKER_URL", "The broker is a table"),
        ("BROKER_TRANSPORT_OPTIONS", "The broker is a table"),
        ("RESULT_BACKEND", "Results are rows"),
        ("CELERY_RESULT_BACKEND", "Results are rows"),
        ("RESULT_EXTENDED", "always keep"),
        ("TASK_SERIALIZER", "JSON"),
        ("RESULT_SERIALIZER", "JSON"),
        ("ACCEPT_CONTENT", "JSON"),
        ("REDIS_MAX_CONNECTIONS", "rows in DATABASE"),
        ("WORKER_PREFETCH_MULTIPLIER", "free slots"),
        ("ENABLE_UTC", "UTC"),
        ("WORKER_ETA_TASK_LIMIT", "before it is due"),
        ("WORKER_HIJACK_ROOT_LOGGER", "only where the project has none"),
        ("TASK_REMOTE_TRACEBACKS", "as text"),
        ("WORKER_POOL_RESTARTS", "always be restarted"),
        ("WORKER_DEDUPLICATE_SUCCESSFUL_TASKS", "nobody receives it again"),
        ("BEAT_SCHEDULER", "Schedules are rows"),
    ],
)
def test_a_setting_that_only_celery_needs_says_why_it_is_not_needed(name: str, reason: str) -> None:
    [problem] = problems({name: "x"})
    assert problem.code == "W002"
    assert reason in problem.text


def test_a_setting_that_only_celery_needs_may_stay() -> None:
    with override_settings(DJTASKS={"BROKER_URL": "redis://", "RESULT_BACKEND": "redis://", "TASK_ACKS_LATE": True}):
        assert settings.TASK_ACKS_LATE is True
        with pytest.raises(AttributeError):
            settings.BROKER_URL  # type: ignore[attr-defined]  # noqa: B018


def test_a_setting_of_celery_that_is_said_otherwise_may_not_be_passed_over() -> None:
    [problem] = problems({"TASK_ACKS_ON_FAILURE_OR_TIMEOUT": False})
    assert problem.code == "E002"
    assert "TASK_ACKS_ON_FAILURE, TASK_ACKS_ON_TIMEOUT" in problem.text


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.timedeltas()


@given(st.dictionaries(st.sampled_from([each.name for each in fields(Settings)]) | st.text(), values, max_size=4))
def test_any_dict_has_problems_or_makes_settings(raw: dict[str, Any]) -> None:
    if not problems(raw):
        assert Settings(**raw).result_expires_seconds != 0
