"""The page to sign up on, and the one that the mail's link opens."""

import uuid

from django.db import transaction
from django.db.models.functions import Now
from django.forms import modelform_factory
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from mail.models import SignUp
from mail.tasks import send_welcome

SignUpForm = modelform_factory(SignUp, fields=["name", "email"])


def sign_up(request: HttpRequest) -> HttpResponse:
    form = SignUpForm(request.POST or None)
    if form.is_valid():
        # The task is a row as the sign-up is: both are there after the commit, or neither.
        with transaction.atomic():
            signup = form.save()
            send_welcome.delay(signup.pk)
        return redirect("thanks")
    return render(request, "mail/sign_up.html", {"form": form})


def thanks(request: HttpRequest) -> HttpResponse:
    return render(request, "mail/thanks.html")


def confirm(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Confirm on POST alone, since mail scanners open every link."""
    signup = get_object_or_404(SignUp, token=token)
    if request.method == "POST":
        SignUp.objects.filter(pk=signup.pk, confirmed_at=None).update(confirmed_at=Now())
        signup.refresh_from_db()
    return render(request, "mail/confirm.html", {"signup": signup})
