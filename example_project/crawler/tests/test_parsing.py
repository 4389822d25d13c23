"""Tests of titles, links and robots.txt."""

import pytest

from crawler.parsing import Document, allows, internal_links, normal, parse

HERE = "http://example.org/a/b"


@pytest.mark.parametrize(
    ("href", "link"),
    [
        ("/c", "http://example.org/c"),
        ("c", "http://example.org/a/c"),
        ("../c?d=1", "http://example.org/c?d=1"),
        ("#top", "http://example.org/a/b"),
        ("/c#part", "http://example.org/c"),
        ("", "http://example.org/a/b"),
        ("http://EXAMPLE.org", "http://example.org/"),
        ("//example.org/c", "http://example.org/c"),
        (" /c ", "http://example.org/c"),
        ("/ä b?q=ö%20", "http://example.org/%C3%A4%20b?q=%C3%B6%20"),
    ],
)
def test_a_link_within_the_site_becomes_absolute(href: str, link: str) -> None:
    assert internal_links([href], HERE) == (link,)


@pytest.mark.parametrize(
    "href",
    [
        "http://example.com/",
        "https://example.org/",
        "http://example.org:8080/",
        "mailto:a@example.org",
        "javascript:void(0)",
        "http://[half",
    ],
)
def test_what_leads_elsewhere_is_left_out(href: str) -> None:
    assert internal_links([href], HERE) == ()


def test_each_link_is_named_once_in_order() -> None:
    assert internal_links(["/z", "/a", "/z#x"], HERE) == ("http://example.org/z", "http://example.org/a")


def test_a_page_has_its_title_and_links() -> None:
    html = "<title>A &amp;\n B</title><body><a href='/x'>x</a><a>none</a><A HREF=/y>y</A>"
    html += "<a rel='me nofollow' href=/n>n</a>"
    assert parse(html, HERE) == Document("A & B", ("http://example.org/x", "http://example.org/y"))


def test_broken_html_is_read_as_far_as_it_goes() -> None:
    assert parse("<a href='/x'><<p></title><a href='/y", HERE).links == ("http://example.org/x",)


def test_all_spellings_of_an_address_are_one() -> None:
    spellings = ["http://example.org", "HTTP://Example.ORG/", "http://example.org/#top"]
    assert {normal(spelling) for spelling in spellings} == {"http://example.org/"}


ROBOTS = "User-agent: *\nDisallow: /private/\n\nUser-agent: banned\nDisallow: /\n"


@pytest.mark.parametrize(
    ("agent", "path", "allowed"),
    [
        ("djtasks-example/1.0", "/", True),
        ("djtasks-example/1.0", "/private/1", False),
        ("djtasks-example/1.0", "/privateer", True),
        ("banned", "/", False),
    ],
)
def test_robots_txt_is_respected(agent: str, path: str, allowed: bool) -> None:
    assert allows(ROBOTS, agent, f"http://example.org{path}") is allowed


def test_no_rules_allow_everything() -> None:
    assert allows("", "any", "http://example.org/private/")
