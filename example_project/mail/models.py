"""Who signed up, and what the owner was told of it."""

import uuid

from django.db import models
from django.urls import reverse


class Digest(models.Model):
    """A mail to the owner: who has signed up until its slot, and was in no digest before."""

    slot = models.DateTimeField(unique=True)
    sent_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"digest of {self.slot}"


class SignUp(models.Model):
    name = models.CharField(max_length=100)
    email = models.EmailField(unique=True)
    token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, editable=False)
    digest = models.ForeignKey(Digest, models.SET_NULL, null=True, editable=False, related_name="sign_ups")
    confirmed_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"

    def get_absolute_url(self) -> str:
        return reverse("confirm", args=[self.token])
