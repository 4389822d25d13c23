"""The crawl: a chord that grows. Its header is a task for each page, which adds one for every page that it is the first
to see; its body writes the report when none is left.
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from http.client import HTTPException
from urllib.parse import urljoin

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from crawler.fetching import USER_AGENT, Response, fetch
from crawler.models import Link, Page, Site
from crawler.parsing import Document, allows, internal_links, normal, parse
from djtasks import Task, chord, crontab, scheduled, shared_task

NO_ANSWER = (OSError, HTTPException)


@scheduled(crontab(hour=6, minute=0), name="crawl of the day", overlap="skip")
@shared_task(bind=True, acks_late=True)
def crawl_of_the_day(self: Task, *roots: str) -> int:
    """Begin a crawl of each site, or of those in the settings; return how many have been begun, by this run of it."""
    slot = self.request.slot or timezone.now()
    begun = 0
    with transaction.atomic():
        for root in roots or settings.CRAWLED_SITES:
            site, is_new = Site.objects.get_or_create(root=root, slot=slot)
            if is_new:
                start.delay(site.pk)
                begun += 1
    return begun


@shared_task(acks_late=True, autoretry_for=NO_ANSWER, retry_backoff=True, max_retries=5)
def start(site_id: int) -> None:
    """Read robots.txt, and send the task for the first page and the report."""
    site = Site.objects.get(pk=site_id)
    robots = fetch(urljoin(site.root, "/robots.txt"))
    if robots.status >= 500:  # RFC 9309: then nothing may be fetched, whereas 4xx means that there are no rules
        raise OSError(f"robots.txt of {site} cannot be had: {robots.status}")
    site.robots = robots.text if robots.status == 200 else ""
    with transaction.atomic():
        if Site.objects.filter(pk=site_id, started_at=None).update(robots=site.robots, started_at=Now()):
            _, new = _discover(site, [normal(site.root)], depth=0)
            body = report.s(site_id).on_error(give_up.s(site_id))
            chord([crawl.s(str(page.pk)) for page in new], body).apply_async()


@shared_task(bind=True, acks_late=True, max_retries=5)
def crawl(self: Task, page_id: str) -> int | None:
    """Fetch a page, keep what it says, and add a task for each page not seen before; return its status.

    A page from which no whole answer comes, however often it is asked for, has no status, and harms no other.
    """
    mine = _take(page_id, task_id=str(self.request.id), delivery=self.request.deliveries)
    page = mine.select_related("site").first()
    if page is None:  # fetched by a delivery that could not tell of it any more
        return Page.objects.values_list("status", flat=True).get(pk=page_id)
    try:
        response = fetch(page.url)
    except NO_ANSWER as error:
        if self.request.retries < self.max_retries:
            raise self.retry(exc=error, countdown=2**self.request.retries) from error
        mine.update(fetched_at=Now())
        return None
    _keep(self, page, mine, response)
    return response.status


def _keep(task: Task, page: Page, mine: QuerySet[Page], response: Response) -> None:
    """Write what a page says, and add a task for each page not seen before, unless the page is another's by now."""
    document = _read(response, page.url)
    with transaction.atomic():
        new: list[Page] = []
        if page.depth < page.site.max_depth:
            found, new = _discover(page.site, document.links, page.depth + 1)
            Link.objects.bulk_create((Link(source=page, target=target) for target in found), ignore_conflicts=True)
        # The page itself comes last. Who inserts pages waits for whoever has written one that is among them, and pages
        # that link to each other would wait for each other.
        seen = {"status": response.status, "title": document.title[:200], "body_hash": response.digest}
        if mine.update(fetched_at=Now(), **seen):
            # This task is in the header itself, so that the report cannot begin before they are there.
            for each in new:
                task.add_to_chord(crawl.s(str(each.pk)))
        else:
            transaction.set_rollback(True)


@shared_task(acks_late=True)
def report(statuses: list[int | None], site_id: int) -> dict[str, int]:
    """Note how many pages had which status; the header's tasks have returned them."""
    counts = dict(Counter(str(status or "no answer") for status in statuses))
    Site.objects.filter(pk=site_id).update(report=counts, ended_at=Now())
    return counts


@shared_task
def give_up(request: object, error: Exception, traceback: str, site_id: int) -> None:
    """Note why a crawl has no report: a task of its header has failed."""
    Site.objects.filter(pk=site_id).update(failure=str(error), ended_at=Now())


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


def _discover(site: Site, urls: Iterable[str], depth: int) -> tuple[list[Page], list[Page]]:
    """Insert the pages that are new; return those of all ``urls``, and the new ones that may be fetched."""
    # Sorted, since workers that insert the same pages in different orders would wait for each other in a circle.
    candidates = [
        Page(id=uuid.uuid4(), site=site, url=url, depth=depth, allowed=allows(site.robots, USER_AGENT, url))
        for url in sorted(urls)
    ]
    Page.objects.bulk_create(candidates, ignore_conflicts=True)
    made_here = {candidate.id for candidate in candidates}
    pages = list(site.pages.filter(url__in=[candidate.url for candidate in candidates]))
    return pages, [page for page in pages if page.id in made_here and page.allowed]
