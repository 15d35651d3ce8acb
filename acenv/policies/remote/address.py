"""Where a model is served, and the secrets that open the door, which are never shown."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

DEFAULT_KEY_ENV = "OPENAI_API_KEY"
_EXAMPLE = "openai:Qwen/Qwen3-8B@http://127.0.0.1:8000/v1"
_AT_URL = re.compile(r"@(?=https?://)", re.IGNORECASE)
_VERSION = re.compile(r"v\d+\w*", re.IGNORECASE)
_CHAT = "/chat/completions"


@dataclass(frozen=True, slots=True)
class Address:
    """A model on a server.

    Attributes:
        model: How the server calls it.
        url: Base URL without credentials; ``/chat/completions`` comes behind it.
        headers: What each request carries, keys included.
        secrets: Texts that must not show up anywhere.
        key_env: The environment variable that the key was read from; empty if there is no key.
    """

    model: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    key_env: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    def redact(self, text: str) -> str:
        """The text with every secret blacked out; servers like to repeat the key that they refuse."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def find_address(
    target: str, *, key_env: str = DEFAULT_KEY_ENV, header_env: Mapping[str, str] | None = None
) -> Address:
    """Read ``MODEL@URL``, and the keys from the environment.

    The model may hold ``@`` and ``/``: the last ``@`` in front of ``http://`` or ``https://`` parts the two. A URL
    whose path names no version gets ``/v1``; one that ends in ``/chat/completions`` is taken as it stands. User name
    and password in it become basic authentication.

    Args:
        target: ``MODEL@URL``.
        key_env: Environment variable with the key. The default one may be unset, as servers of one's own need no key.
        header_env: Further headers, each with the environment variable that holds its value.

    Raises:
        ValueError: No such target, or a variable that is not set or holds what no header can.

    >>> find_address("org/model@main@http://127.0.0.1:8000", key_env="OPENAI_API_KEY").model
    'org/model@main'
    >>> find_address("m@https://example.org/api/v3/").url
    'https://example.org/api/v3'
    """
    parts = list(_AT_URL.finditer(target))
    model = target[: parts[-1].start()].strip() if parts else ""
    if not model:
        raise ValueError(f"an openai policy needs a model and a URL, as in {_EXAMPLE}; this is {_hidden(target)!r}")
    url, user = _base_url(target[parts[-1].end() :].strip())
    headers: dict[str, str] = {}
    secrets: list[str] = []
    key = _secret(key_env, "api_key_env", needed=key_env != DEFAULT_KEY_ENV)
    if user is not None:
        if not user.isascii() or not user.isprintable():
            raise ValueError("user name and password in the URL must be ASCII; others have to be percent-encoded")
        token = base64.b64encode(user.encode()).decode()
        headers["Authorization"] = f"Basic {token}"
        secrets += [user, token, user.partition(":")[2]]
        key, key_env = "", ""
    elif key:
        headers["Authorization"] = f"Bearer {key}"
        secrets.append(key)
    for header, variable in (header_env or {}).items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", str(header)):
            raise ValueError(f"{header!r} in header_env is no name of a header")
        headers[str(header)] = _secret(str(variable), "header_env", needed=True)
        secrets.append(headers[str(header)])
    # The longest first, so that a secret within another one leaves no trace of it.
    known = tuple(sorted({secret for secret in secrets if secret}, key=len, reverse=True))
    return Address(model, url, headers, known, key_env if key else "")


def _base_url(url: str) -> tuple[str, str | None]:
    """The URL without credentials, and the credentials, ``user:password``."""
    shown = _hidden(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{shown!r} is no URL: {error}; an example is {_EXAMPLE}") from None
    if not parts.hostname or any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError(f"{shown!r} is no URL of a server; an example is {_EXAMPLE}")
    if parts.query or parts.fragment:
        raise ValueError(f"{shown!r}: a base URL has neither ? nor #. Keys go into headers: header_env names them")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/")
    if path.endswith(_CHAT):
        path = path.removesuffix(_CHAT)
    elif not any(_VERSION.fullmatch(segment) for segment in path.split("/")):
        path += "/v1"
    base = f"{parts.scheme.lower()}://{host}{'' if port is None else f':{port}'}{path}"
    if parts.username is None:
        return base, None
    return base, f"{unquote(parts.username)}:{unquote(parts.password or '')}"


def _hidden(text: str) -> str:
    """The text without what stands between ``//`` and ``@``, nor what comes behind a question mark."""
    return re.sub(r"\?.*", "?...", re.sub(r"//[^/\s]*@", "//***@", text))


def _secret(variable: str, option: str, *, needed: bool) -> str:
    value = os.environ.get(variable, "").strip()
    if not value and needed:
        raise ValueError(f"{option} names the environment variable {variable}, which is not set")
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"the environment variable {variable} holds characters that no HTTP header can carry")
    return value
