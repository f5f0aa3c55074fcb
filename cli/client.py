"""Asks the API over HTTP.

Errors: CommandError in one line: who did not answer and how to start it, or the API's own reason.
"""

from typing import Any
from urllib.parse import quote

import requests

from cli.errors import AwayError, CommandError

_TIMEOUT = (5.0, 300.0)  # s, to connect and to wait for an answer

Params = list[tuple[str, str]]


class Client:
    """The API at an address."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        if token:
            self._session.headers["X-Auth-Token"] = token

    def get(self, path: str, params: Params | None = None) -> Any:
        """Return what the API answers. Raises CommandError."""
        return self._answer("GET", path, params=params)

    def post(self, path: str, json: Any = None) -> Any:
        """Send JSON and return what the API answers. Raises CommandError."""
        return self._answer("POST", path, json=json)

    def put(self, path: str, json: Any = None) -> Any:
        """Put JSON there and return what the API answers. Raises CommandError."""
        return self._answer("PUT", path, json=json)

    def delete(self, path: str) -> None:
        """Delete what is there. Raises CommandError."""
        self._answer("DELETE", path)

    def post_lines(self, path: str, lines: list[bytes]) -> Any:
        """Send lines of JSON as they are and return what the API answers. Raises CommandError."""
        headers = {"Content-Type": "application/x-ndjson"}
        return self._answer("POST", path, data=b"\n".join(lines), headers=headers)

    def _answer(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._session.request(method, self.url + path, timeout=_TIMEOUT, **options)
        except requests.Timeout as error:
            raise CommandError(
                f"{self.url} did not answer in time; ask for less, or later"
            ) from error
        except requests.ConnectionError as error:
            raise CommandError(
                f"{self.url} does not answer. Start Streamgauge with `make run` or `streamgauge run`, "
                "or give another address with --api-url."
            ) from error
        except requests.RequestException as error:
            raise CommandError(f"--api-url {self.url}: {error}") from error
        return _content(answer)


def segment(text: str) -> str:
    """Return a text as one segment of a path, whatever characters it holds."""
    return quote(text, safe="")


def _content(answer: requests.Response) -> Any:
    try:
        content = answer.json() if answer.content else None
    except requests.JSONDecodeError as error:
        raise CommandError(
            f"{answer.url} answered {answer.status_code} without JSON; is this Streamgauge's API?"
        ) from error
    if answer.status_code >= 400:
        kind = AwayError if answer.status_code == 503 else CommandError
        raise kind(_faultstring(content) or f"{answer.status_code} {answer.reason}")
    return content


def _faultstring(content: Any) -> str | None:
    fault = content.get("error_message") if isinstance(content, dict) else None
    if isinstance(fault, dict):
        fault = fault.get("faultstring")
    return str(fault) if fault else None
