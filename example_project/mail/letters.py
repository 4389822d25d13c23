"""What the mails say."""


def welcome(name: str, link: str) -> tuple[str, str]:
    """Return subject and body of the mail that asks a new sign-up to confirm."""
    # The name was typed by a stranger, and a line break would end the header that it stands in.
    greeted = " ".join(name.split()) or "friend"
    return f"Welcome, {greeted}", f"Hello {greeted},\n\nplease confirm that this address is yours:\n{link}\n"
