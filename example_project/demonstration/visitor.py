"""A visitor of the example's site, who fills in its form as a browser would."""

import time
import urllib.request
from http.cookiejar import CookieJar
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit


class Visitor:
    def __init__(self, site: str) -> None:
        self.site = site
        self._cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self._cookies),
            urllib.request.ProxyHandler({}),  # no proxy knows the loopback of this machine
        )

    def wait(self, seconds: float) -> None:
        """Return when the site is up; raise TimeoutError if it is not in time."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.open("/")
                return
            except URLError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.site} does not answer") from None
            time.sleep(0.1)

    def sign_up(self, name: str, email: str) -> None:
        self.open("/", {"name": name, "email": email})

    def log_in(self, username: str, password: str) -> bool:
        self.open("/admin/login/")
        return self.open("/admin/login/", {"username": username, "password": password, "next": "/admin/"}) == "/admin/"

    def open(self, path: str, form: dict[str, str] | None = None) -> str:
        """Open a page, or send it a form, and return the path of the page where that ends; raise URLError otherwise."""
        body = None
        if form is not None:
            token = next(cookie.value for cookie in self._cookies if cookie.name == "csrftoken")
            body = urlencode(form | {"csrfmiddlewaretoken": token}).encode()
        with self._opener.open(self.site + path, body, timeout=20) as answer:
            return urlsplit(str(answer.url)).path
