"""Basic authentication against bcrypt hashes. A password is compared once; the verdict is remembered."""

import asyncio
import base64
import binascii
import hashlib
import os
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum

from exporter.web.access.bcrypt_threads import Checks, cost_of

_REFUSALS_KEPT = 512
#: How many comparisons may be pending: from one client for one user, and in all.
_WAITING_EACH = 4
_WAITING = 64


class Verdict(Enum):
    """The result of checking a request."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    BUSY = "busy"


class Authenticator:
    """Checks user names and passwords, and remembers the verdicts.

    Accepted passwords are remembered apart from refused ones. So a flood of wrong passwords never makes the exporter
    compare an accepted one again. Only digests with a random key of this process are kept, never passwords.
    """

    def __init__(self) -> None:
        self._users: Mapping[str, str] = {}
        self._decoys: tuple[str, ...] = ()
        self._key = os.urandom(32)
        self._admitted: set[bytes] = set()
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._pending: dict[bytes, asyncio.Future[bool]] = {}
        self._waiting: dict[tuple[str, str], int] = {}
        self._checks = Checks()
        self._closed = False

    def use(self, users: Mapping[str, str]) -> None:
        """Replace the users (name: bcrypt hash). If they differ from the former ones, all verdicts are forgotten."""
        if users == self._users:
            return
        self._users = dict(users)
        self._admitted.clear()
        self._refused.clear()
        self._decoys = tuple(f"$2b${cost_of(one)}${'.' * 53}" for _, one in sorted(users.items()))

    @property
    def needed(self) -> bool:
        """Whether a password is required: at least one user is configured."""
        return bool(self._users)

    async def judge(self, header: str | None, client: str) -> Verdict:
        """Check the Authorization header of a request; `client` is the address that it came from."""
        found = credentials(header)
        if found is None:
            return Verdict.REFUSED
        user, password = found
        known = user in self._users
        hashed = self._users[user] if known else self._decoy(user)
        digest = self._digest(user, hashed, password)
        if digest in self._admitted:
            return Verdict.ADMITTED
        if digest in self._refused:
            self._refused.move_to_end(digest)
            return Verdict.REFUSED
        return await self._verify(digest, hashed, password, known=known, place=(client, user if known else ""))

    async def _verify(
        self, digest: bytes, hashed: str, password: bytes, *, known: bool, place: tuple[str, str]
    ) -> Verdict:
        pending = self._pending.get(digest)
        if pending is None:
            if self._waiting.get(place, 0) >= _WAITING_EACH or len(self._pending) >= _WAITING:
                return Verdict.BUSY
            self._waiting[place] = self._waiting.get(place, 0) + 1
            pending = self._pending[digest] = self._checks.compare(hashed, password)
            pending.add_done_callback(lambda done: self._remember_verdict(done, digest, hashed, place, known=known))
        right = await asyncio.shield(pending)
        if self._closed and not right:
            return Verdict.BUSY
        return Verdict.ADMITTED if right and known else Verdict.REFUSED

    def _decoy(self, user: str) -> str:
        """A hash for an unknown user. It has the cost of a known user's hash, and no password matches it.

        The same name always gets the same cost. So response times do not tell which users exist.
        """
        chosen = hashlib.blake2b(user.encode("utf-8", "surrogatepass"), key=self._key, digest_size=8).digest()
        return self._decoys[int.from_bytes(chosen, "big") % len(self._decoys)]

    def _remember_verdict(
        self, done: asyncio.Future[bool], digest: bytes, hashed: str, place: tuple[str, str], *, known: bool
    ) -> None:
        del self._pending[digest]
        self._waiting[place] -= 1
        if not self._waiting[place]:
            del self._waiting[place]
        if done.cancelled() or done.exception() is not None:
            return
        if known and hashed not in self._users.values():
            return  # the user got another hash meanwhile
        if done.result() and known:
            self._admitted.add(digest)
            return
        self._refused[digest] = None
        if len(self._refused) > _REFUSALS_KEPT:
            self._refused.popitem(last=False)

    def _digest(self, user: str, hashed: str, password: bytes) -> bytes:
        mac = hashlib.blake2b(key=self._key, digest_size=32)
        for part in (user.encode("utf-8", "surrogatepass"), hashed.encode(), password):
            mac.update(len(part).to_bytes(4, "big") + part)
        return mac.digest()

    def close(self) -> None:
        """Stop the threads. Requests that still wait for a comparison are answered as busy."""
        self._closed = True
        self._checks.close()
        for pending in self._pending.values():
            if not pending.done():
                pending.set_result(False)


def credentials(header: str | None) -> tuple[str, bytes] | None:
    """The user and the password of an Authorization header; None if it has none."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = raw.partition(b":")
    if not colon:
        return None
    return user.decode("utf-8", "replace"), password
