"""What a page says: its title, where it leads, and what robots.txt lets us fetch. Pure functions of text."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser
from urllib.parse import quote, urldefrag, urljoin, urlsplit, urlunsplit
from urllib.robotparser import RobotFileParser

_QUOTED = "/?:@!$&'()*+,;=%"  # what may stand in a path or query as it is, the sign of quoting included


@dataclass(frozen=True)
class Document:
    title: str
    links: tuple[str, ...]


def parse(html: str, url: str) -> Document:
    """Read the title and the links that stay on the site of ``url``, each once and in order."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return Document(" ".join("".join(reader.title).split()), internal_links(reader.hrefs, url))


def internal_links(hrefs: Iterable[str], url: str) -> tuple[str, ...]:
    """Return the absolute addresses on the site of ``url`` that ``hrefs``, found there, mean."""
    site = _origin(normal(url))
    found: dict[str, None] = {}  # a set that keeps its order
    for href in hrefs:
        try:
            link = normal(urljoin(url, href.strip()))
        except ValueError:  # such as http://[half-an-address
            continue
        if _origin(link) == site:
            found[link] = None
    return tuple(found)


def normal(url: str) -> str:
    """Return the one spelling of ``url`` under which its page is known: no fragment, lower-case host, a path, ASCII."""
    parts = urlsplit(urldefrag(url).url)
    path, query = quote(parts.path or "/", safe=_QUOTED), quote(parts.query, safe=_QUOTED)
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), path, query, ""))


def allows(robots: str, agent: str, url: str) -> bool:
    """Say whether the ``robots`` text lets ``agent`` fetch ``url``; an empty text allows everything."""
    return _rules(robots).can_fetch(agent, url)


@lru_cache(maxsize=64)
def _rules(robots: str) -> RobotFileParser:
    rules = RobotFileParser()
    rules.parse(robots.splitlines())
    return rules


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.title: list[str] = []
        self.hrefs: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self._in_title = tag == "title"
        nofollow = "nofollow" in (attributes.get("rel") or "").lower().split()
        if tag == "a" and (href := attributes.get("href")) is not None and not nofollow:
            self.hrefs.append(href)

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
