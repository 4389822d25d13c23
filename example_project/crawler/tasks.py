"""The crawl: a task a page, which sends a task for every page that it is the first to see."""

import uuid
from collections.abc import Iterable
from http.client import HTTPException
from urllib.parse import urljoin

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from crawler.fetching import USER_AGENT, Response, fetch
from crawler.models import Link, Page, Site
from crawler.parsing import Document, allows, internal_links, normal, parse
from djtasks import Task, enqueue_many, shared_task

NO_ANSWER = (OSError, HTTPException)


@shared_task(acks_late=True, autoretry_for=NO_ANSWER, retry_backoff=True, max_retries=5)
def start(site_id: int) -> None:
    """Read robots.txt and send the task for the first page."""
    site = Site.objects.get(pk=site_id)
    robots = fetch(urljoin(site.root, "/robots.txt"))
    if robots.status >= 500:  # RFC 9309: then nothing may be fetched, whereas 4xx means that there are no rules
        raise OSError(f"robots.txt of {site} cannot be had: {robots.status}")
    site.robots = robots.text if robots.status == 200 else ""
    with transaction.atomic():
        if Site.objects.filter(pk=site_id, started_at=None).update(robots=site.robots, started_at=Now()):
            _discover(site, [normal(site.root)], depth=0)


@shared_task(bind=True, acks_late=True, autoretry_for=NO_ANSWER, retry_backoff=True, max_retries=5)
def crawl(self: Task, page_id: str) -> int | None:
    """Fetch a page, keep what it says, and send a task for each page not seen before; return its status."""
    mine = _take(page_id, task_id=str(self.request.id), delivery=self.request.deliveries)
    page = mine.select_related("site").first()
    if page is None:
        return None
    response = fetch(page.url)
    document = _read(response, page.url)
    with transaction.atomic():
        kept = mine.update(
            fetched_at=Now(), status=response.status, title=document.title[:200], body_hash=response.digest
        )
        if kept and page.depth < page.site.max_depth:
            found = _discover(page.site, document.links, page.depth + 1)
            Link.objects.bulk_create((Link(source=page, target=target) for target in found), ignore_conflicts=True)
    return response.status


def _take(page_id: str, task_id: str, delivery: int) -> QuerySet[Page]:
    """Make the page this delivery's own, if it is not fetched and not another's; return it as a query.

    A delivery that was lost with its worker is followed by one with a higher number, which takes the page over. Whoever
    holds the older number can write nothing any more.
    """
    free = Q(taken_by=None) | Q(taken_by=task_id, delivery__lt=delivery)
    unfetched = Page.objects.filter(pk=page_id, fetched_at=None)
    unfetched.filter(free).update(taken_by=task_id, delivery=delivery)
    return unfetched.filter(taken_by=task_id, delivery=delivery)


def _read(response: Response, url: str) -> Document:
    if 300 <= response.status < 400 and (location := response.headers["Location"]):
        return Document("", internal_links([location], url))
    return parse(response.text, url) if response.status == 200 and response.is_html else Document("", ())


def _discover(site: Site, urls: Iterable[str], depth: int) -> list[Page]:
    """Insert the pages that are new, send a task for each, and return the pages of all ``urls``."""
    # Sorted, since workers that insert the same pages in different orders would wait for each other in a circle.
    candidates = [
        Page(id=uuid.uuid4(), site=site, url=url, depth=depth, allowed=allows(site.robots, USER_AGENT, url))
        for url in sorted(urls)
    ]
    Page.objects.bulk_create(candidates, ignore_conflicts=True)
    made_here = {candidate.id for candidate in candidates}
    pages = list(site.pages.filter(url__in=[candidate.url for candidate in candidates]))
    enqueue_many([(crawl, [str(page.id)], {}) for page in pages if page.id in made_here and page.allowed])
    return pages
