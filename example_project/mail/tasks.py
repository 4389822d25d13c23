"""The welcome mail."""

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models.functions import Now

from djtasks import Task, shared_task
from mail.letters import welcome
from mail.models import SignUp


# Errors of smtplib are OSErrors too: a refusal and a dead line are both worth another try.
@shared_task(bind=True, acks_late=True, autoretry_for=(OSError,), retry_backoff=True, max_retries=6)
def send_welcome(self: Task, signup_id: int) -> str:
    """Send the welcome mail to a sign-up that has not had it."""
    unsent = SignUp.objects.filter(pk=signup_id, sent_at=None)
    signup = unsent.first()
    if signup is None:
        return "sent before"
    subject, body = welcome(signup.name, settings.SITE_URL + signup.get_absolute_url())
    # A worker may die after the server took the mail and before the row says so. The mail then goes out again, but
    # under the same id, by which servers and readers tell that it is the same.
    message_id = f"<{self.request.id}@djtasks.example>"
    EmailMessage(subject, body, to=[signup.email], headers={"Message-ID": message_id}).send()
    unsent.update(sent_at=Now())
    return f"sent to {signup.email}"
