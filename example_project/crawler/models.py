"""Sites, their pages, and the links between them."""

import uuid

from django.db import models


class Site(models.Model):
    """One crawl of one site; ``report`` says how many pages had which status, once all of them are fetched."""

    root = models.URLField("address of the first page")
    robots = models.TextField("robots.txt", blank=True, editable=False)
    # Of which day, where a schedule has begun it.
    slot = models.DateTimeField(null=True, editable=False)
    max_depth = models.PositiveSmallIntegerField(default=20)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    report = models.JSONField(default=dict, editable=False)
    failure = models.TextField("why there is no report", blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["root", "slot"], name="crawler_site_once_a_slot")]

    def __str__(self) -> str:
        return self.root


class Page(models.Model):
    """A page that is known; a task was sent for it in the transaction that first inserted it, if robots.txt allows it.

    ``taken_by`` and ``delivery`` say which delivery of which task may write here: the newest one.
    """

    # Made by the inserter, who can tell by it which rows are its own after INSERT … ON CONFLICT DO NOTHING.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="pages")
    url = models.URLField(max_length=1000)
    depth = models.PositiveSmallIntegerField()
    allowed = models.BooleanField("allowed by robots.txt")
    taken_by = models.UUIDField("task", null=True, editable=False)
    delivery = models.PositiveIntegerField(default=0, editable=False)
    fetched_at = models.DateTimeField(null=True, editable=False)
    status = models.PositiveSmallIntegerField(null=True, editable=False)
    title = models.CharField(max_length=200, blank=True, editable=False)
    body_hash = models.CharField("SHA-256 of the body", max_length=64, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "url"], name="crawler_page_once")]

    def __str__(self) -> str:
        return self.url


class Link(models.Model):
    source = models.ForeignKey(Page, on_delete=models.CASCADE, related_name="links")
    target = models.ForeignKey(Page, on_delete=models.CASCADE, related_name="linked_from")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "target"], name="crawler_link_once")]

    def __str__(self) -> str:
        return f"{self.source} → {self.target}"
