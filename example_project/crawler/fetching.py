"""One HTTP request: what came back, whatever its status."""

import hashlib
import urllib.request
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse
from typing import IO
from urllib.error import HTTPError

USER_AGENT = "djtasks-example/1.0"
MAX_BYTES = 2**20
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Response:
    status: int
    headers: Message
    body: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def text(self) -> str:
        charset = self.headers.get_content_charset() or "utf-8"
        try:
            return self.body.decode(charset, errors="replace")
        except LookupError:  # a charset that the site has made up
            return self.body.decode("utf-8", errors="replace")

    @property
    def is_html(self) -> bool:
        return self.headers.get_content_type() == "text/html"


def fetch(url: str) -> Response:
    """Request ``url`` once; raise OSError or HTTPException if no whole answer comes."""
    if not url.startswith(("http://", "https://")):  # urllib would read files, too
        raise ValueError(f"{url} is not of the web")
    request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})  # noqa: S310
    try:
        answer: HTTPResponse | HTTPError = _opener.open(request, timeout=TIMEOUT_SECONDS)
    except HTTPError as error:  # an answer like any other: the page is not there, or has moved
        answer = error
    with answer:
        return Response(int(answer.status or 0), answer.headers, answer.read(MAX_BYTES))


class _StandStill(urllib.request.HTTPRedirectHandler):
    """Followed here, a redirect could fetch a page that another worker has fetched: it is a link like any other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


_opener = urllib.request.build_opener(_StandStill)
