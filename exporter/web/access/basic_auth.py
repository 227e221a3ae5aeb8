"""Basic authentication against bcrypt hashes. A password is compared once; the verdict is remembered."""

import asyncio
import binascii
import os
from collections import Counter, OrderedDict
from collections.abc import Mapping
from enum import Enum

from exporter.core.hashes import blake2b
from exporter.web.access.bcrypt_threads import Checks, cost_of, decoy

_REFUSALS_KEPT = 512
#: How many comparisons may be pending: from one client for one name, from one client, and in all. None depends on
#: whether there is a user of that name, because the answer when there are too many is another one.
_WAITING_EACH = 4
_WAITING_CLIENT = 16
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
        self._costs: tuple[str, ...] = ()
        self._most = ""
        self._key = os.urandom(32)
        self._name_key = b""
        self._admitted: set[bytes] = set()
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._pending: dict[bytes, asyncio.Future[bool]] = {}
        self._waiting: Counter[tuple[str, ...]] = Counter()
        self._checks = Checks()
        self._closed = False

    def use(self, users: Mapping[str, str]) -> None:
        """Replace the users (name: bcrypt hash). If they differ from the former ones, all verdicts are forgotten."""
        if users == self._users:
            return
        self._users = dict(users)
        self._admitted.clear()
        self._refused.clear()
        hashes = sorted(users.values())
        self._costs = tuple(map(cost_of, hashes))
        self._most = max(self._costs, default="")
        # The hashes are secret, and the same after a restart: so is the cost that an unknown name gets.
        self._name_key = blake2b("".join(hashes).encode()).digest()

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
        hashed = self._users[user] if known else decoy(self._cost_for(user))
        digest = self._digest(user, hashed, password)
        if digest in self._admitted:
            return Verdict.ADMITTED
        if digest in self._refused:
            self._refused.move_to_end(digest)
            return Verdict.REFUSED
        return await self._verify(digest, hashed, password, known=known, place=(client, user))

    async def _verify(
        self, digest: bytes, hashed: str, password: bytes, *, known: bool, place: tuple[str, str]
    ) -> Verdict:
        pending = self._pending.get(digest)
        if pending is None:
            if self._too_many(place):
                return Verdict.BUSY
            self._waiting.update((place, place[:1]))
            pending = self._pending[digest] = self._checks.compare(hashed, password, self._most)
            pending.add_done_callback(lambda done: self._remember_verdict(done, digest, hashed, place, known=known))
        right = await asyncio.shield(pending)
        if self._closed and not right:
            return Verdict.BUSY
        return Verdict.ADMITTED if right and known else Verdict.REFUSED

    def _too_many(self, place: tuple[str, str]) -> bool:
        waiting = self._waiting
        each, client = waiting[place], waiting[place[:1]]
        return each >= _WAITING_EACH or client >= _WAITING_CLIENT or len(self._pending) >= _WAITING

    def _cost_for(self, user: str) -> str:
        """The cost of comparing for an unknown name: that of some user's hash, and always the same for the same name.

        All wrong passwords take the same work. But with many waiting it may be noticed which thread begins with it.
        """
        chosen = blake2b(user.encode("utf-8", "surrogatepass"), key=self._name_key, digest_size=8).digest()
        return self._costs[int.from_bytes(chosen, "big") % len(self._costs)]

    def _remember_verdict(
        self, done: asyncio.Future[bool], digest: bytes, hashed: str, place: tuple[str, str], *, known: bool
    ) -> None:
        del self._pending[digest]
        self._waiting.subtract((place, place[:1]))
        self._waiting = +self._waiting  # without those that are 0
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
        mac = blake2b(key=self._key, digest_size=32)
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
        raw = binascii.a2b_base64(encoded.strip(), strict_mode=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = raw.partition(b":")
    if not colon:
        return None
    return user.decode("utf-8", "replace"), password
