"""The welcome mail; and by schedule, the owner's digest and the clean-up."""

from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from djtasks import Task, crontab, every, scheduled, shared_task
from mail.letters import digest, welcome
from mail.models import Digest, SignUp

CONFIRMED_WITHIN = timedelta(days=30)


# Errors of smtplib are OSErrors too: a refusal and a dead line are both worth another try.
@shared_task(bind=True, acks_late=True, autoretry_for=(OSError,), retry_backoff=True, max_retries=6)
def send_welcome(self: Task, signup_id: int) -> str:
    """Send the welcome mail to a sign-up that has not had it."""
    unsent = SignUp.objects.filter(pk=signup_id, sent_at=None)
    signup = unsent.first()
    if signup is None:
        return "sent before"
    subject, body = welcome(signup.name, settings.SITE_URL + signup.get_absolute_url())
    _send(self, subject, body, signup.email)
    unsent.update(sent_at=Now())
    return f"sent to {signup.email}"


@scheduled(crontab(hour=7, minute=0), name="digest", overlap="skip")
@shared_task(bind=True, acks_late=True, autoretry_for=(OSError,), retry_backoff=True, max_retries=6)
def send_digest(self: Task) -> int:
    """Tell the owner who has signed up and was in no digest before; return how many those are."""
    until = self.request.slot or timezone.now()
    # In one transaction, so that a mail that goes out again under its id says the same again.
    with transaction.atomic():
        mine, is_new = Digest.objects.get_or_create(slot=until)
        if is_new:
            SignUp.objects.filter(digest=None, created_at__lte=until).update(digest=mine)
    if mine.sent_at is None:
        _send(self, *digest(until, map(str, mine.sign_ups.order_by("pk"))), settings.OWNER_EMAIL)
        Digest.objects.filter(pk=mine.pk).update(sent_at=Now())
    return mine.sign_ups.count()


@scheduled(every(hours=1), name="clean-up")
@shared_task(acks_late=True)
def clean_up() -> int:
    """Delete the sign-ups that nobody has confirmed in time; return how many those were."""
    late = SignUp.objects.filter(confirmed_at=None, created_at__lt=timezone.now() - CONFIRMED_WITHIN)
    return late.delete()[0]


def _send(task: Task, subject: str, body: str, to: str) -> None:
    # A worker may die after the server took the mail and before the row says so. The mail then goes out again, but
    # under the same id, by which servers and readers tell that it is the same.
    message_id = f"<{task.request.id}@djtasks.example>"
    EmailMessage(subject, body, to=[to], headers={"Message-ID": message_id}).send()
