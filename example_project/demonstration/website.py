"""A site of several hundred linked pages to crawl, and a server on loopback that counts what is fetched."""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Self

PAGES = 300
LATENCY_SECONDS = 0.1
ROBOTS = "User-agent: *\nDisallow: /private/\n"


@dataclass(frozen=True)
class Anchor:
    """A link as the page spells it, and the path that is meant: None leads off the site."""

    href: str
    target: str | None


@dataclass(frozen=True)
class Answer:
    status: int
    title: str = ""
    anchors: tuple[Anchor, ...] = ()
    location: str = ""

    @property
    def html(self) -> str:
        links = "".join(f'<li><a href="{anchor.href}">{anchor.target}</a></li>' for anchor in self.anchors)
        return f"<!doctype html><title>{self.title}</title><h1>{self.title}</h1><ul>{links}</ul>"


def build() -> dict[str, Answer]:
    """Return the answer for each path of the site; which pages link to which is the same every time."""
    site = {"/": Answer(200, "Home", (Anchor("/page/1", "/page/1"), Anchor("#top", "/"), *_elsewhere()))}
    for number in range(1, PAGES + 1):
        site[f"/page/{number}"] = Answer(200, f"Page {number}", tuple(_anchors(number)))
    for number in range(10, PAGES + 1, 10):
        site[f"/private/{number}"] = Answer(200, "Private", (Anchor("/private/", "/private/"),))
    for number in range(25, PAGES + 1, 25):
        site[f"/missing/{number}"] = Answer(404, "Not found")
    site["/old"] = Answer(301, location="/page/42")
    return site


def allowed(path: str) -> bool:
    return not path.startswith("/private/")


def links(site: dict[str, Answer]) -> set[tuple[str, str]]:
    """Return which path a polite crawler should find to lead to which."""
    fetched = {path: answer for path, answer in site.items() if allowed(path)}
    anchors = {(path, anchor.target) for path, answer in fetched.items() for anchor in answer.anchors if anchor.target}
    redirects = {(path, answer.location) for path, answer in fetched.items() if answer.location}
    return anchors | redirects


def _anchors(number: int) -> list[Anchor]:
    """Link a page to its children in a binary tree, to its parent, and across, in every spelling."""
    anchors = [Anchor(f"/page/{child}", f"/page/{child}") for child in (2 * number, 2 * number + 1) if child <= PAGES]
    across = 7 * number % PAGES + 1
    anchors.append(Anchor(f"{across}#part", f"/page/{across}"))
    anchors.append(Anchor(f"../page/{number // 2}", f"/page/{number // 2}") if number > 1 else Anchor("../", "/"))
    if number == 3:
        anchors.append(Anchor("/old", "/old"))
    if number % 10 == 0:
        anchors.append(Anchor(f"/private/{number}", f"/private/{number}"))
    if number % 25 == 0:
        anchors.append(Anchor(f"/missing/{number}?", f"/missing/{number}"))
    return anchors


def _elsewhere() -> list[Anchor]:
    return [Anchor("http://elsewhere.invalid/", None), Anchor("mailto:someone@elsewhere.invalid", None)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A worker that is killed hangs up in the middle of a page, which is no news here."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Website:
    """The site, served while the context lasts; ``fetches`` counts by path."""

    def __init__(self) -> None:
        self.answers = build()
        self.fetches: Counter[str] = Counter()
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.root = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, name="website", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, path: str) -> None:
        with self._lock:
            self.fetches[path] += 1

    def _handler(website: "Website") -> type[BaseHTTPRequestHandler]:  # the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                website.count(self.path)
                time.sleep(LATENCY_SECONDS)
                if self.path == "/robots.txt":
                    self._send(Answer(200), "text/plain", ROBOTS)
                else:
                    answer = website.answers.get(self.path, Answer(404, "Not found"))
                    self._send(answer, "text/html; charset=utf-8", answer.html)

            def _send(self, answer: Answer, content_type: str, body: str) -> None:
                self.send_response(answer.status)
                self.send_header("Content-Type", content_type)
                if answer.location:
                    self.send_header("Location", answer.location)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *arguments: object) -> None:
                """Keep the terminal for the live view."""

        return Handler
