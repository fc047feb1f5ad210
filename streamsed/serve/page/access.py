"""Access control of the page: tokens, host names, and limits on guessing.

A browser sends the token once. It then receives a cookie with an expiry time, signed with a
key derived from the token: no sessions are stored, and changing the token ends all of them. Programs send `Authorization: Bearer TOKEN` instead.

A name in the `Host` header is accepted if it is one of this machine: otherwise a foreign
site could resolve its own name to this address and read the page through a visitor's browser
(DNS rebinding). IP addresses are always accepted, since this attack needs a name.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import os
import socket
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

SESSION = 180 * 86400
"""Seconds that a browser stays logged in."""
MIN_TOKEN = 16
"""Minimum number of characters of a token."""
FREE_ATTEMPTS = 5
"""Wrong tokens from one address before it must wait."""
FIRST_WAIT = 10.0
"""Seconds to wait after them; doubled with each further one."""
LONGEST_WAIT = 3600.0
"""Seconds."""
MAX_ADDRESSES = 1000
"""Maximum number of addresses whose attempts are counted; the oldest are dropped."""


class Attempts:
    """Count wrong tokens by address; limit how soon each may try again.

    Parameters
    ----------
    clock : callable
        Monotonic clock, in seconds.

    Examples
    --------
    >>> attempts = Attempts(clock=lambda: 0.0)
    >>> for _ in range(FREE_ATTEMPTS):
    ...     attempts.fail("192.0.2.7")
    >>> attempts.wait("192.0.2.7"), attempts.wait("192.0.2.8")
    (10.0, 0.0)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Return the seconds until another attempt is allowed."""
        _, until = self._failed.get(address, (0, 0.0))
        return max(0.0, until - self._clock())

    def fail(self, address: str) -> None:
        """Count a wrong token."""
        count = self._failed.pop(address, (0, 0.0))[0] + 1
        over = min(count - FREE_ATTEMPTS, 20)
        wait = min(FIRST_WAIT * 2.0**over, LONGEST_WAIT) if over >= 0 else 0.0
        self._failed[address] = (count, self._clock() + wait)
        while len(self._failed) > MAX_ADDRESSES:
            self._failed.popitem(last=False)

    def succeed(self, address: str) -> None:
        """Reset the count of an address."""
        self._failed.pop(address, None)


class Access:
    """Check tokens, cookies and host names.

    Parameters
    ----------
    token : str or None
        Token that browsers must have; None allows everyone who can reach the address.
    hosts : iterable of str
        Further names of this machine.
    now : callable
        Seconds since 1970.
    """

    def __init__(
        self,
        token: str | None,
        *,
        hosts: Iterable[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.attempts = Attempts()
        self._token = None if token is None else token.encode()
        key = b"streamsed page " + (self._token or b"")
        self._key = hashlib.sha256(key).digest()
        self._now = now
        own = socket.gethostname().lower()
        names = {"localhost", own, own.split(".")[0], f"{own.split('.')[0]}.local"}
        self._hosts = names | {host.lower() for host in hosts}

    @property
    def is_open(self) -> bool:
        """Whether no token is needed."""
        return self._token is None

    def knows(self, host: str) -> bool:
        """Whether a `Host` header names this machine."""
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.strip("[]").rstrip(".").lower()
        if name in self._hosts:
            return True
        with suppress(ValueError):
            ipaddress.ip_address(name)
            return True
        return False

    def accepts(self, token: str) -> bool:
        """Whether this is the token, compared in constant time."""
        if self._token is None:
            return True
        offered = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        return hmac.compare_digest(offered, hashlib.sha256(self._token).digest())

    def cookie(self) -> str:
        """Return a new session."""
        until = math.floor(self._now() + SESSION)
        return f"{until}.{self._sign(until)}"

    def accepts_cookie(self, cookie: str) -> bool:
        """Whether this is a valid session that has not expired."""
        until, _, signature = cookie.partition(".")
        if not (until.isascii() and until.isdecimal() and len(until) < 16):
            return False
        right = self._sign(int(until)).encode()
        is_ours = hmac.compare_digest(signature.encode(errors="replace"), right)
        return is_ours and int(until) > self._now()

    def _sign(self, until: int) -> str:
        return hmac.new(self._key, str(until).encode(), hashlib.sha256).hexdigest()


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        Others may read the file, or it has no token; the message says what to do.
    """
    with path.open("rb") as stream:
        mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        content = stream.read(4096)
    if mode & 0o077:
        raise ValueError(
            f"{path}: readable by others (mode {mode:04o}); `chmod 600 {path}`"
        )
    token = content.decode("ascii", errors="replace").strip()
    if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable():
        raise ValueError(
            f"{path}: needs a token of at least {MIN_TOKEN} printable characters; "
            "`openssl rand -hex 20` prints one"
        )
    return token
