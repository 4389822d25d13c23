"""A small SMTP server that refuses some recipients once, as greylisting servers do, and keeps count."""

from collections import Counter
from email import message_from_bytes
from email.message import Message

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from demonstration.ports import free_port


class Mailbox:
    """What the server took and what it refused; every third of its expected recipients is refused at first."""

    def __init__(self, recipients: list[str]) -> None:
        self.expected = set(recipients)
        self.greylisted = set(recipients[::3])
        self.refusals: Counter[str] = Counter()
        self.deliveries: Counter[str] = Counter()
        self.letters: dict[str, tuple[str, Message]] = {}

    @property
    def recipients(self) -> set[str]:
        return {recipient for recipient, _ in self.letters.values()}

    @property
    def repeated(self) -> dict[str, int]:
        """The ids of the mails that came more than once."""
        return {message_id: count for message_id, count in self.deliveries.items() if count > 1}

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.greylisted and address not in self.refusals:
            self.refusals[address] += 1
            return "451 4.7.1 Greylisted, please try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        letter = message_from_bytes(envelope.original_content or b"")
        message_id = letter["Message-ID"]
        self.deliveries[message_id] += 1
        self.letters[message_id] = (envelope.rcpt_tos[0], letter)
        return "250 Taken"


def mail_server(mailbox: Mailbox) -> Controller:
    """Return a server on loopback that is to be started and stopped."""
    return Controller(mailbox, hostname="127.0.0.1", port=free_port())
