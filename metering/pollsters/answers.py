"""What an answer of OpenStack's APIs holds: a page of entries, and where the next page is."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class AnswerError(ValueError):
    """An answer is not of the form that its API has."""


def entries_of(answer: Any, path: str) -> list[Any]:
    """Return the list at a dotted key of an answer. Raises AnswerError."""
    found = answer
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, list):
        raise AnswerError(f"no list of {path}")
    return found


def next_query(answer: Mapping[str, Any], key: str) -> dict[str, str] | None:
    """Return the query that asks for the next page; None on the last.

    Only the query counts: behind a proxy the rest of a link may lead elsewhere.
    """
    for links in (answer.get(f"{key}_links"), answer.get("links"), answer.get("next")):
        href = _next(links)
        if href:
            return dict(parse_qsl(urlsplit(href).query)) or None
    return None


def _next(links: Any) -> str | None:
    """Return the address that links lead on to, in any of the forms that services give them."""
    if isinstance(links, list):
        rels = {link.get("rel"): link.get("href") for link in links if isinstance(link, Mapping)}
        links = rels.get("next")
    if isinstance(links, Mapping):
        links = links.get("next")
    return links if isinstance(links, str) else None
