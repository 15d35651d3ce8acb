"""An HTTP client for JSON services that fail now and then: bounded, patient, and quiet while nobody answers."""

from __future__ import annotations

import asyncio
import email.utils
import json
import random
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import aiohttp

from acenv.policies.remote.address import Address

T = TypeVar("T")

MAX_BODY = 16 << 20
"""Bytes of an answer; a longer one is not read to its end."""

MAX_PAUSE = 60.0
"""Seconds between two attempts, whatever ``Retry-After`` asks for."""

OUTAGE = 8
"""Failed requests in a row (each with all its attempts) after which the server counts as down."""

_LONGEST_BACKOFF = 30.0
_KEEP_ALIVE = 3.0  # Less than the five seconds of uvicorn, which would close under a request on its way.
_TRANSIENT = frozenset({408, 409, 425, 429})
_WITHOUT_ACCESS = frozenset({401, 403, 404})
_SHOWN = 300
_READ_AS_TEXT = 1 << 16


class Fault(Exception):
    """Something went wrong that may go well the next time.

    Attributes:
        status: HTTP status, 0 if there was none.
        wait: Seconds that the server asked to wait.
    """

    def __init__(self, message: str, *, status: int = 0, wait: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait


class Refusal(Exception):
    """The server understood the request and said no; asking again would not help.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """Posts JSON and reads JSON, with retries; to be used from one event loop at a time.

    A fault is retried after an exponential backoff with full jitter, or after what ``Retry-After`` says. When
    ``OUTAGE`` requests in a row have failed, further ones fail at once, but for one now and then that looks whether
    the server is back.
    """

    def __init__(
        self,
        address: Address,
        *,
        connections: int,
        timeout: float,
        connect_timeout: float,
        retries: int,
        backoff: float,
    ) -> None:
        """Nothing is connected yet.

        Args:
            address: Where to.
            connections: Kept in the pool at most.
            timeout: Seconds for a whole attempt, from connecting to the last byte.
            connect_timeout: Seconds until the connection stands.
            retries: Attempts after the first one.
            backoff: Upper bound of the first pause in seconds; doubles with each attempt.
        """
        self._address = address
        self._connections = connections
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._retries = retries
        self._backoff = backoff
        self._jitter = random.Random()  # Of its own: jitter must not move anybody's seeded generator.
        self._session: aiohttp.ClientSession | None = None
        self.outage = Outage()

    async def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, path: str, body: Mapping[str, Any], read: Callable[[Any], T]) -> T:
        """Send a request until it is answered.

        Args:
            path: Behind the base URL.
            body: JSON; text that is no valid Unicode is mended.
            read: Takes the answer's JSON; raises :class:`Fault` if it is none that can be used.

        Raises:
            Fault: Every attempt failed, or the server is down.
            Refusal: The server said no.
        """
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        attempts = 1 if self.outage.enter(self._address.url) else self._retries + 1
        for attempt in range(attempts):
            try:
                answer = read(await self._attempt("POST", path, content))
            except Fault as fault:
                last = fault
            except Refusal as refusal:
                if refusal.status in _WITHOUT_ACCESS:
                    self.outage.failed(str(refusal))
                else:
                    self.outage.worked()
                raise
            else:
                self.outage.worked()
                return answer
            if attempt + 1 < attempts:
                await asyncio.sleep(self._pause(attempt, last.wait))
                if self.outage.since is not None:
                    break
        tries = f" (attempt {attempt + 1} of {attempts})" if attempts > 1 else ""
        self.outage.failed(str(last))
        raise Fault(f"{last}{tries}", status=last.status)

    async def get(self, path: str) -> Any:
        """JSON of a single attempt.

        Raises:
            Fault: It failed.
            Refusal: The server said no.
        """
        return await self._attempt("GET", path, None)

    def _pause(self, attempt: int, asked: float | None) -> float:
        jitter = self._jitter.uniform(0, min(_LONGEST_BACKOFF, self._backoff * 2**attempt))
        # All who are asked to wait equally long would come back at the same moment.
        return jitter if asked is None else min(asked, MAX_PAUSE) + min(jitter, self._backoff)

    async def _attempt(self, method: str, path: str, content: bytes | None) -> Any:
        url = self._address.url
        try:
            async with self._connected().request(method, url + path, data=content, allow_redirects=False) as response:
                body = await _read(response, url)
        except aiohttp.ConnectionTimeoutError:
            raise Fault(f"{url} took no connection within {self._connect_timeout:g} seconds") from None
        except TimeoutError:
            raise Fault(f"{url} did not answer within {self._timeout:g} seconds") from None
        except aiohttp.ClientConnectorError as error:
            reason = getattr(error, "os_error", error)  # which a certificate that is not trusted does not have
            raise Fault(f"cannot connect to {url}: {self._words(str(reason))}") from None
        except (aiohttp.InvalidURL, UnicodeError):  # the latter from the encoding of host names
            raise Refusal(f"{url} is no URL that can be asked", 0) from None
        except (aiohttp.ClientError, OSError) as error:
            words = self._words(str(error)) or type(error).__name__
            raise Fault(f"the connection to {url} broke: {words}") from None
        return self._judge(response, body)

    def _judge(self, response: aiohttp.ClientResponse, body: bytes) -> Any:
        """The JSON of a good answer; anything else is raised."""
        status = response.status
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        said = f"{self._address.url} answered HTTP {status}: {self._words(complaint(data) or _text(body))}"
        if status in _TRANSIENT or status >= 500:
            if status == 429 and "insufficient_quota" in said:
                raise Refusal(said, status)
            raise Fault(said, status=status, wait=retry_after(response.headers.get("retry-after")))
        if 300 <= status < 400:
            where = self._words(response.headers.get("location", "another place"))
            raise Refusal(f"{self._address.url} sends on to {where}; use that address", status)
        if status >= 400:
            raise Refusal(said, status)
        if data is None:
            kind = response.headers.get("content-type", "an unnamed type")
            words = self._words(_text(body))
            raise Fault(f"{self._address.url} answered with {self._words(kind)} that is no JSON: {words!r}")
        return data

    def _words(self, text: str) -> str:
        """A server's words, on one line, short, and without secrets."""
        text = " ".join(self._address.redact(text).split())
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={
                    **self._address.headers,
                    "Content-Type": "application/json",
                    # A few bytes could unpack to gigabytes.
                    "Accept-Encoding": "identity",
                },
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_KEEP_ALIVE),
                timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=self._connect_timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                # No proxy leads back to this machine.
                trust_env=not self._address.is_loopback,
            )
        return self._session


class Outage:
    """Notices that a server is down.

    Attributes:
        since: When that was noticed (``time.monotonic``); ``None`` while it answers.
    """

    def __init__(self) -> None:
        self.since: float | None = None
        self._failures = 0
        self._last = ""
        self._look = 0.0
        self._pause = 0.0

    def enter(self, url: str) -> bool:
        """Let a request pass; returns whether it is one that only looks whether the server is back.

        Raises:
            Fault: The server is down, and it was not long ago that somebody looked.
        """
        if self.since is None:
            return False
        now = time.monotonic()
        if now < self._look:
            raise Fault(
                f"{url} is down since {now - self.since:.0f} seconds: {self._failures} requests in a row failed, "
                f"so nothing more is asked for the moment; the last one: {self._last}"
            )
        self._pause = min(MAX_PAUSE, self._pause * 2)
        self._look = now + self._pause
        return True

    def worked(self) -> None:
        """A request was answered."""
        self.since = None
        self._failures = 0

    def failed(self, why: str) -> None:
        """A request failed for good."""
        self._failures += 1
        self._last = why
        if self.since is None and self._failures >= OUTAGE:
            self.since = time.monotonic()
            self._pause = 1.0
            self._look = self.since + self._pause


async def _read(response: aiohttp.ClientResponse, url: str) -> bytes:
    """The body, as long as it is not beyond all measure."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            raise Fault(f"{url} answered with more than {MAX_BODY >> 20} MiB", status=response.status)
    return bytes(body)


def _text(body: bytes) -> str:
    return body[:_READ_AS_TEXT].decode(errors="replace")


def complaint(data: Any) -> str:
    """What an error's JSON says, in any of the shapes that servers give it; empty if it is none.

    >>> complaint({"error": {"message": "no", "code": "model_not_found"}})
    'no (model_not_found)'
    >>> complaint({"detail": "Unexpected fields"}), complaint({"choices": []})
    ('Unexpected fields', '')
    """
    if not isinstance(data, dict):
        return ""
    error = data.get("error")
    if isinstance(error, dict):
        code = error.get("code") or error.get("type")
        message = error.get("message")
        if isinstance(message, str):
            return f"{message} ({code})" if isinstance(code, str) and code not in message else message
        return json.dumps(error)
    for value in (error, data.get("detail"), data.get("message")):
        if value:
            return value if isinstance(value, str) else json.dumps(value)
    return ""


def retry_after(value: str | None) -> float | None:
    """Seconds to wait, from seconds or an HTTP date; ``None`` where the header is missing or makes no sense.

    >>> retry_after("2.5"), retry_after("soon")
    (2.5, None)
    """
    if value is None:
        return None
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
        return max(0.0, date.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
