"""Tests of the mails' texts."""

from mail.letters import welcome


def test_the_mail_holds_the_link() -> None:
    subject, body = welcome("Ada", "https://example.org/confirm/1/")
    assert subject == "Welcome, Ada"
    assert "https://example.org/confirm/1/" in body.splitlines()


def test_a_line_break_in_a_name_starts_no_new_header() -> None:
    subject, _ = welcome("Ada\r\nBcc: all@example.org", "https://example.org/")
    assert subject == "Welcome, Ada Bcc: all@example.org"


def test_a_blank_name_is_greeted_too() -> None:
    assert welcome("  ", "https://example.org/")[0] == "Welcome, friend"
