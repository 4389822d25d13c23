"""Tests of the mails' texts."""

from datetime import UTC, datetime

from mail.letters import digest, welcome


def test_the_mail_holds_the_link() -> None:
    subject, body = welcome("Ada", "https://example.org/confirm/1/")
    assert subject == "Welcome, Ada"
    assert "https://example.org/confirm/1/" in body.splitlines()


def test_a_line_break_in_a_name_starts_no_new_header() -> None:
    subject, _ = welcome("Ada\r\nBcc: all@example.org", "https://example.org/")
    assert subject == "Welcome, Ada Bcc: all@example.org"


def test_a_blank_name_is_greeted_too() -> None:
    assert welcome("  ", "https://example.org/")[0] == "Welcome, friend"


def test_the_digest_has_a_line_for_each_sign_up() -> None:
    subject, body = digest(datetime(2026, 11, 25, 7, tzinfo=UTC), ["Ada\n<ada@x.org>", "Bob <bob@x.org>"])
    assert subject == "2 new sign-ups until 2026-11-25 07:00:00"
    assert body.splitlines() == ["Ada <ada@x.org>", "Bob <bob@x.org>"]
