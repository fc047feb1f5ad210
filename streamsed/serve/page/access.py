"""Who may see the page: tokens, names of the machine, and limits on guessing.

A browser is asked for the token once. It then holds a cookie with the time until which it is
valid, signed with a key made of the token: nothing is remembered here, and another token
ends every session. Programs send `Authorization: Bearer TOKEN` instead.

A name in the `Host` header is accepted if it is one of this machine: otherwise a foreign
site could lead its own name to this address and read the page through a visitor's browser.
IP addresses are always accepted, since this attack needs a name.
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
"""Seconds that a browser stays logged in; a tablet on a wall should not be asked often."""
MIN_TOKEN = 16
"""Characters of a token at least."""
FREE_ATTEMPTS = 5
"""Wrong tokens from one address before it must wait."""
FIRST_WAIT = 10.0
"""Seconds after them; doubled with every further one."""
LONGEST_WAIT = 3600.0
"""Seconds."""
MAX_ADDRESSES = 1000
"""Addresses whose attempts are counted; the oldest are forgotten."""


class Attempts:
    """Count wrong tokens by address; limit how soon each may try again.

    Parameters
    ----------
    clock : callable
        Seconds, never backwards.

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
        """Return the seconds until another attempt is looked at."""
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
        """Forget the wrong ones."""
        self._failed.pop(address, None)


class Access:
    """Decide on tokens, cookies and names.

    Parameters
    ----------
    token : str or None
        Token that browsers must have; None allows everyone who can reach the address.
    hosts : iterable of str
        Names of this machine, beside those that it knows itself.
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
        """Whether this is the token; takes as long for one that is nearly right."""
        if self._token is None:
            return True
        offered = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        return hmac.compare_digest(offered, hashlib.sha256(self._token).digest())

    def cookie(self) -> str:
        """Return a new session."""
        until = math.floor(self._now() + SESSION)
        return f"{until}.{self._sign(until)}"

    def accepts_cookie(self, cookie: str) -> bool:
        """Whether this is a session that was given out and is not over."""
        until, _, signature = cookie.partition(".")
        if not (until.isascii() and until.isdecimal() and len(until) < 16):
            return False
        right = self._sign(int(until)).encode()
        is_ours = hmac.compare_digest(signature.encode(errors="replace"), right)
        return is_ours and int(until) > self._now()

    def _sign(self, until: int) -> str:
        return hmac.new(self._key, str(until).encode(), hashlib.sha256).hexdigest()


def read_token(path: Path) -> str:
    """Return the token that a file holds.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        Others may read it, or what it holds is no token; the message has the remedy.
    """
    with path.open("rb") as stream:
        mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        content = stream.read(4096)
    if mode & 0o077:
        raise ValueError(
            f"{path}: others may read the token (mode {mode:04o}); do `chmod 600 {path}`"
        )
    token = content.decode("ascii", errors="replace").strip()
    if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable():
        raise ValueError(
            f"{path}: must hold a token of {MIN_TOKEN} printable characters or more; "
            "`openssl rand -hex 20` makes one"
        )
    return token
