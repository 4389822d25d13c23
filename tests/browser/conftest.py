"""A real browser before the test site: Chromium, driven by Playwright; the path is in CHROMIUM, or it is on PATH."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOOKS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"},
}
PATIENCE = 30_000
_missing: list[str] = []


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for reason in _missing[:1]:
        terminalreporter.write_line(f"!!!!! {reason}: nobody has looked at the control room", red=True, bold=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the browser; where there is none, say so loudly.

    It is gone before other tests begin, and its event loop with it: in this thread no coroutine could be run.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _give_up("Playwright is not installed")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        _give_up("no Chromium is here, and CHROMIUM names none")
    with pytest.MonkeyPatch.context() as patch:
        # Playwright's loop runs in the thread of the test, which asks the database itself.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        # Chromium refuses its sandbox to root.
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        with sync_playwright() as playwright:
            started = playwright.chromium.launch(executable_path=path, args=arguments)
            yield started
            started.close()


def _give_up(reason: str) -> None:
    _missing.append(reason)
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class Visit:
    """A page in the browser, and all that it asked for and complained of."""

    page: Page
    site: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a page of the site."""
        answer = self.page.goto(f"{self.site}{path}", wait_until="load")
        assert answer and answer.ok, (path, answer and answer.status)
        assert self.page.url == f"{self.site}{path}", (path, self.page.url)

    def hear(self, said: ConsoleMessage) -> None:
        """Take note of a complaint; that there is no icon of the site is not ours to mend."""
        if said.type == "error" and not said.location["url"].endswith("/favicon.ico"):
            self.complaints.append(f"{said.text} {said.location['url']}")

    def is_wider_than_its_window(self) -> bool:
        """Say whether one would have to scroll sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))

    def check(self, what: str) -> None:
        """Fail where it scrolls sideways, asked others for something, or complained."""
        assert not self.is_wider_than_its_window(), f"{what} is wider than its window"
        strangers = [url for url in self.requests if not url.startswith((self.site, "data:", "blob:"))]
        assert not strangers, (what, strangers)
        assert not self.complaints, (what, self.complaints)


Open = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser, live_server: Any) -> Iterator[Open]:
    """Open a window of the browser, as a superuser who has logged in."""
    contexts = []

    def open_window(look: str = "desktop", **options: Any) -> Visit:
        client = Client()
        client.force_login(User.objects.filter(username="root").first() or User.objects.create_superuser("root"))
        context = browser.new_context(**LOOKS[look], **options)
        contexts.append(context)
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        context.add_cookies([cookie])
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        visit = Visit(page, live_server.url)
        page.on("request", lambda request: visit.requests.append(request.url))
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("dialog", lambda dialog: visit.complaints.append(f"a dialog: {dialog.message}"))
        page.on("console", visit.hear)
        return visit

    yield open_window
    for context in contexts:
        context.close()
