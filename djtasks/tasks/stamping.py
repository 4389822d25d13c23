"""What a caller marks messages with for those who look for them later: stamps among their headers, and tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from djtasks.domain import signatures
from djtasks.domain.options import CALL_OPTIONS, check_headers, check_tags
from djtasks.domain.signatures import distinct, kind_of, listed

Headers = Mapping[str, Any]


class StampingVisitor:
    """Names headers for each part of a canvas: what a method returns is stamped on the part and on all that is in it.

    Where a returned dict has ``stamped_headers``, a list of names, those alone are stamps, and the rest plain headers.
    """

    def on_signature(self, sig: Any, **headers: Any) -> Headers | None:
        """Return stamps of the signature of a task, also of one that is a callback."""

    def on_group_start(self, group: Any, **headers: Any) -> Headers | None:
        """Return stamps of a group; its members come next."""

    def on_group_end(self, group: Any, **headers: Any) -> None:
        """Hear that all members of a group have been stamped."""

    def on_chain_start(self, chain: Any, **headers: Any) -> Headers | None:
        """Return stamps of a chain; its steps come next."""

    def on_chain_end(self, chain: Any, **headers: Any) -> None:
        """Hear that all steps of a chain have been stamped."""

    def on_chord_header_start(self, sig: Any, **header: Any) -> Headers | None:
        """Return stamps of a chord, both of its header, whose members come next, and of its body."""
        return self.on_group_start(sig.header, **header)

    def on_chord_header_end(self, sig: Any, **header: Any) -> None:
        """Hear that all members of a chord's header have been stamped."""
        self.on_group_end(sig.header, **header)

    def on_chord_body(self, sig: Any, **header: Any) -> Headers | None:
        """Return stamps of a chord's body alone."""

    def on_callback(self, callback: Any, **header: Any) -> Headers | None:
        """Return stamps of a callback."""

    def on_errback(self, errback: Any, **header: Any) -> Headers | None:
        """Return stamps of an errback."""


def stamp(signature: Any, visitor: StampingVisitor | None, headers: Headers, *, append: bool) -> None:
    """Stamp a signature with headers and with what the visitor names, and so all that is in it or follows it."""
    _visit(signature, visitor or StampingVisitor(), _more({}, headers), append)


def _visit(signature: Any, visitor: StampingVisitor, headers: Headers, append: bool) -> None:
    match kind_of(signature):
        case signatures.CHAIN:
            headers = _more(headers, visitor.on_chain_start(signature, **headers))
            _visit_each(signature.tasks, visitor, headers, append)
            visitor.on_chain_end(signature, **headers)
        case signatures.GROUP:
            headers = _more(headers, visitor.on_group_start(signature, **headers))
            _visit_each(signature.tasks, visitor, headers, append)
            visitor.on_group_end(signature, **headers)
        case signatures.CHORD:
            headers = _more(headers, visitor.on_chord_header_start(signature, **headers))
            _visit_each(signature.tasks, visitor, headers, append)
            visitor.on_chord_header_end(signature, **headers)
            if signature.body is not None:
                _visit(signature.body, visitor, _more(headers, visitor.on_chord_body(signature, **headers)), append)
        case _:
            _put(signature["options"], _more(headers, visitor.on_signature(signature, **headers)), append)
    for callback in listed(signature["options"].get("link")):
        _visit(callback, visitor, _more(headers, visitor.on_callback(callback, **headers)), append)
    for errback in listed(signature["options"].get("link_error")):
        _visit(errback, visitor, _more(headers, visitor.on_errback(errback, **headers)), append)


def _visit_each(members: Iterable[Any], visitor: StampingVisitor, headers: Headers, append: bool) -> None:
    for member in members:
        _visit(member, visitor, headers, append)


def _more(headers: Headers, named: Headers | None) -> dict[str, Any]:
    """Lay what was named over headers; ``stamped_headers`` says which of them are stamps."""
    named = named or {}
    stamped = [*headers.get("stamped_headers", ()), *named.get("stamped_headers", named)]
    return {**headers, **named, "stamped_headers": distinct(stamped)}


def _put(options: dict[str, Any], headers: Headers, append: bool) -> None:
    """Stamp the options of a signature."""
    known = list(options.get("stamped_headers") or ())
    added = [name for name in headers["stamped_headers"] if name in headers]
    plain_headers = {name: headers[name] for name in headers.keys() - {*added, "stamped_headers"}}
    if plain_headers:
        options["headers"] = {**(options.get("headers") or {}), **plain_headers}
    for name in added:
        old = options.get(name, (options.get("headers") or {}).get(name))
        options[name] = distinct([*listed(old), *listed(headers[name])]) if append and name in known else headers[name]
    if added:
        options["stamped_headers"] = distinct([*known, *added])


def unpacked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Put the stamps of a call among its headers; as in Celery each is given as an option of its own, or as a header.

    Raises TypeError or ValueError for names that cannot be those of stamps, or that have no value.
    """
    names = options["stamped_headers"] or ()
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(f"stamped_headers is a list of names of headers, not {names!r:.80}")
    names = list(dict.fromkeys(names))
    headers = options.get("headers") or {}
    check_headers(headers)
    for name in names:
        if not isinstance(name, str) or name in CALL_OPTIONS:
            raise ValueError(f"{name!r:.80} cannot be stamped: a stamp is a header, and no option of a call")
        if name not in options and name not in headers:
            raise ValueError(f"the stamp {name!r} has no value: give it as {name}=… or among the headers")
    rest = {key: value for key, value in options.items() if key not in names}
    stamps = {name: options[name] for name in names if name in options}
    return {**rest, "headers": {**headers, **stamps}, "stamped_headers": names or None}


def tags_of(own: Iterable[str], given: Iterable[str] | None) -> list[str]:
    """Return the tags of a task and those of a call, each once."""
    check_tags(given or ())
    return list(dict.fromkeys([*own, *(given or ())]))
