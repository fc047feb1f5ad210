"""One attempt to post a message, and its outcome."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from http.client import (
    HTTP_PORT,
    HTTPS_PORT,
    HTTPConnection,
    HTTPException,
    HTTPSConnection,
)
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

MAX_WAIT = 300.0
"""Maximum seconds to wait at a receiver's request."""

TRY_AGAIN = (408, 425, 429)
"""Status codes after which a message is sent again; so are all from 500."""


class Answer(NamedTuple):
    """The outcome of an attempt.

    Parameters
    ----------
    is_accepted : bool
        Whether the receiver accepted the message.
    try_again : bool
        Whether another attempt may succeed.
    reason : str
        Reason of a failure, for the user; contains no secrets.
    wait : float
        Seconds to wait, if the receiver named them.
    """

    is_accepted: bool
    try_again: bool = False
    reason: str = ""
    wait: float = 0.0


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, timeout: float
) -> Answer:
    """Post a message once; redirections are not followed.

    Parameters
    ----------
    url : str
        `http://` or `https://`, optionally with user and password.
    body : bytes
        JSON.
    headers : mapping
        In addition to content type and length.
    timeout : float
        Seconds to wait for a response.
    """
    parts = urlsplit(url)
    try:
        connection = _connection(url, timeout)
    except (ValueError, HTTPException) as error:  # such as a space in its host
        return _unusable(error)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
    headers = {**headers, "Content-Type": "application/json", **_authorization(url)}
    try:
        connection.request("POST", path + query, body, headers)
        response = connection.getresponse()
        return _interpret(response.status, response.getheader("Retry-After", ""))
    except TimeoutError:
        return Answer(is_accepted=False, try_again=True, reason="no answer in time")
    except OSError as error:
        reason = error.strerror or getattr(error, "verify_message", "") or str(error)
        return Answer(is_accepted=False, try_again=True, reason=reason)
    except HTTPException as error:
        reason = f"not an HTTP response ({type(error).__name__})"
        return Answer(is_accepted=False, try_again=True, reason=reason)
    except ValueError as error:  # an invalid host name
        return _unusable(error)
    finally:
        connection.close()


def _connection(url: str, timeout: float) -> HTTPConnection:
    parts = urlsplit(url)
    host = unquote(
        parts.hostname or ""
    )  # %25 stands before the zone of an IPv6 address
    # Without a port, http.client would look for one in an IPv6 address.
    if parts.scheme == "https":
        trust = ssl.create_default_context()
        port = parts.port or HTTPS_PORT
        return HTTPSConnection(host, port, timeout=timeout, context=trust)
    return HTTPConnection(host, parts.port or HTTP_PORT, timeout=timeout)


def _unusable(error: Exception) -> Answer:
    reason = f"the address cannot be used ({type(error).__name__})"
    return Answer(is_accepted=False, reason=reason)


def _authorization(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def _interpret(status: int, retry_after: str) -> Answer:
    if 200 <= status < 300:
        return Answer(is_accepted=True)
    reason = f"HTTP {status}"
    if 300 <= status < 400:
        reason += ", a redirect; set url to its target"
    wait = (
        float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    )
    again = status in TRY_AGAIN or status >= 500
    return Answer(
        is_accepted=False, try_again=again, reason=reason, wait=min(wait, MAX_WAIT)
    )
