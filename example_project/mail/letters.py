"""What the mails say."""

from collections.abc import Iterable
from datetime import datetime


def welcome(name: str, link: str) -> tuple[str, str]:
    """Return subject and body of the mail that asks a new sign-up to confirm."""
    # The name was typed by a stranger, and a line break would end the header that it stands in.
    greeted = " ".join(name.split()) or "friend"
    return f"Welcome, {greeted}", f"Hello {greeted},\n\nplease confirm that this address is yours:\n{link}\n"


def digest(until: datetime, sign_ups: Iterable[str]) -> tuple[str, str]:
    """Return subject and body of the mail that tells the owner who has signed up."""
    lines = [" ".join(sign_up.split()) for sign_up in sign_ups]
    return f"{len(lines)} new sign-ups until {until:%Y-%m-%d %H:%M:%S}", "\n".join([*lines, ""])
