"""Tests of the site that the demonstration crawls: what it says of itself is what a crawler must find."""

from crawler.parsing import parse
from demonstration.website import Answer, allowed, build, links

ROOT = "http://127.0.0.1:1"


def read(path: str, answer: Answer) -> set[tuple[str, str]]:
    return {(path, link.removeprefix(ROOT)) for link in parse(answer.html, ROOT + path).links}


def test_its_links_are_those_that_a_crawler_reads() -> None:
    site = build()
    found = {link for path, answer in site.items() if allowed(path) for link in read(path, answer)}
    assert found | {("/old", "/page/42")} == links(site)


def test_every_allowed_page_can_be_reached() -> None:
    site = build()
    targets: dict[str, list[str]] = {}
    for source, target in links(site):
        targets.setdefault(source, []).append(target)
    reached, open_paths = {"/"}, ["/"]
    while open_paths:
        new = set(targets.get(open_paths.pop(), [])) - reached
        reached |= new
        open_paths += new
    assert {path for path in site if allowed(path)} == {path for path in reached if allowed(path)}
    assert any(not allowed(path) for path in reached)


def test_it_has_all_that_a_crawler_must_bear() -> None:
    site = build()
    assert len(site) > 300
    assert {answer.status for answer in site.values()} == {200, 301, 404}
    linked = links(site)
    assert any((target, source) in linked for source, target in linked)  # cycles
