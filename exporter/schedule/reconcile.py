"""The backstop: by a look at what is watched, finds what no event has told.

It compares signatures of the stores and of what Docker rewrites in place. On a host with a thousand
containers this is some four thousand lstats.
"""

import os
import stat
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from exporter.core.clock import SYSTEM_CLOCK, Clock
from exporter.core.data_root import DataRoot
from exporter.core.measured import Identity, Measured, Tree
from exporter.inventory.files.reader import is_id
from exporter.inventory.stores import Dirty

_Signature = tuple[int, ...]

#: What is rewritten in place, by the store it is in.
_FILES = {
    "containers": ("config.v2.json", "hostconfig.json", "config.json"),
    "graph": ("json", "layersize"),
    "volumes": ("_data", "opts.json", "config.json", "json"),
}
#: Stores of whose entries only is seen whether they are the same, or were replaced or written to.
_PLAIN = ("image", "buildkit")
#: Stores of whose entries the directories are signed: the engine adds files to them after they were made,
#: the time of a tag or the name of an init layer, and no event of the store tells of that.
_FILLED_LATER = (("imagedb", "metadata", "sha256"), ("layerdb", "mounts"))
#: Stores that are watched with all that is rewritten in them, or whose objects come complete by a rename.
_TOLD = (("containers",), ("graph",))
#: With events, the entries of those, and files that are rewritten in place, are looked at only every so many looks.
_THOROUGH_LOOKS = 8
#: Timestamps have the granularity of the kernel's tick: what changed just now may change again unseen.
_UNSETTLED_SECONDS = 0.05


@dataclass(slots=True)
class Findings:
    """What has moved since the last look: `stores` whose listing did, `entries` that did themselves.

    `new` are those of the stores that were not there. `again` is what had to be looked at once more because it
    had just changed the last time.
    """

    stores: set[Tree] = field(default_factory=set)
    entries: set[Tree] = field(default_factory=set)
    new: set[Tree] = field(default_factory=set)
    again: set[Tree] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.stores or self.entries or self.again)


class Reconciler:
    """Remembers the signatures of one root."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._signatures: dict[Tree, _Signature] = {}
        self._unsettled: set[Tree] = set()
        self._stores: frozenset[Tree] = frozenset()
        #: The stores whose listings were taken as seen since the last look: not so what is in them.
        self._settled: set[Tree] = set()
        self._looks = 0
        #: Whether the last look was at everything.
        self.thorough = True

    def look(
        self,
        root: DataRoot,
        stores: Sequence[Tree],
        measured: Mapping[Tree, Measured],
        *,
        immutable: Collection[Tree] = (),
        watching: bool = False,
    ) -> Findings:
        """Compare with the last look; the first one finds nothing.

        Of what was `measured`, the directories of `immutable` trees are to be as they were, the others the same.
        While events tell of what is rewritten (`watching`), most looks only see what comes and goes.
        """
        before, unsettled = self._signatures, self._unsettled
        self._signatures, self._unsettled = {}, set()
        all_stores = ((), *stores)
        stores_before, self._stores = self._stores, frozenset(stores)
        for store in all_stores:
            self._note(store, _listing_signature(root, store))
        self.thorough = not watching or self._looks % _THOROUGH_LOOKS == 0
        self._looks += 1
        known = {} if self.thorough else before
        for store in all_stores:
            # Of a store that is another directory than it was, nothing is known.
            same = before.get(store, ())[:2] == self._signatures.get(store, ())[:2]
            self._sign(root, store, known if same else {})
        findings = Findings()
        if not before:
            return findings
        moved = {key for key, signature in self._signatures.items() if before.get(key) != signature}
        moved |= before.keys() - self._signatures.keys()
        findings.stores = moved & {*all_stores, *stores_before}
        findings.new = findings.stores - stores_before - {()}
        findings.entries = {key for key in moved - findings.stores if key in before and key in self._signatures}
        findings.again = unsettled - moved
        for store in findings.stores | self._settled:
            findings.entries |= _replaced(root, store, measured, immutable)
        self._settled = set()
        return findings

    def settle(self, root: DataRoot, stores: Sequence[Tree], dirty: Dirty, listings: Collection[Tree]) -> None:
        """Take what is about to be scanned as seen: `dirty` entries, the listings they are in, and other `listings`.

        All of a store that is new is scanned as well.
        """
        if not self._signatures:
            return
        known = told(dirty) | {*listings}
        for store in {(), *stores, *self._stores}:
            whole = dirty.covers(store) or (bool(store) and store not in self._stores)
            if whole or store in known:
                self._settled.add(store)
                self._signatures.pop(store, None)
                self._note(store, _listing_signature(root, store))
            candidates = self._signatures if whole else dirty.entries
            entries = [key for key in candidates if key and key[:-1] == store and key not in stores]
            for key in entries:
                self._signatures.pop(key, None)
            if whole or entries:
                self._sign(root, store, {}, None if whole else [key[-1] for key in entries])

    def _sign(
        self, root: DataRoot, store: Tree, known: Mapping[Tree, _Signature], names: Sequence[str] | None = None
    ) -> None:
        """Sign what in a store is replaced or rewritten where it is, or what of it is named; its stores are signed.

        Of directories that are as `known`, the files are not looked at: of a thousand containers, that is the
        most of a look. What something is mounted on is left out.
        """
        files = _FILES.get(store[0], ()) if len(store) == 1 else ()
        plain = not (files or filled_later(store))
        if plain and store and (store[0] not in _PLAIN or len(store) > 2):
            return
        signatures, mounts, tells = self._signatures, root.mounts, store in _TOLD
        with suppress(OSError), root.directory(store) as descriptor:
            for name in root.names(store) if names is None else names:
                entry = (*store, name)
                if entry in signatures or entry in mounts:
                    continue
                old = known.get(entry)
                if old is not None and tells and is_id(name):
                    signatures[entry] = old
                    continue
                try:
                    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                except OSError:
                    continue
                if plain:
                    self._note(entry, _plain_signature(status))
                elif old is not None and old[:3] == (status.st_dev, status.st_ino, status.st_ctime_ns):
                    signatures[entry] = old
                else:
                    touched = [file for file in files if (*entry, file) not in mounts]
                    self._note(entry, _entry_signature(descriptor, name, status, touched))

    def _note(self, key: Tree, signature: _Signature | None) -> None:
        if signature is None:
            return
        self._signatures[key] = signature
        if abs(self._clock.now() * 1e9 - max(signature[2:])) < _UNSETTLED_SECONDS * 1e9:
            self._unsettled.add(key)


def told(dirty: Dirty) -> set[Tree]:
    """What is read again with what is dirty: the entries, and the listings of the directories they are in."""
    return {*dirty.entries, *(entry[:-1] for entry in dirty.entries)}


def filled_later(store: Tree) -> bool:
    """Whether the entries of a store change unseen by a watch of it."""
    return store[0:1] == ("image",) and store[2:] in _FILLED_LATER


def _listing_signature(root: DataRoot, store: Tree) -> _Signature | None:
    try:
        status = root.lstat(store)
    except OSError:
        return None
    # Who may read it counts as well: permissions that were regained show what was hidden.
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_mode, status.st_uid, status.st_gid


def _plain_signature(status: os.stat_result) -> _Signature:
    """Of a directory without files to look at, only that it is the same one: its content is audited."""
    times = (status.st_mtime_ns, status.st_size) if stat.S_ISREG(status.st_mode) else (0,)
    return status.st_dev, status.st_ino, *times


def _entry_signature(parent: int, name: str, status: os.stat_result, files: Sequence[str]) -> _Signature:
    """Sign an entry and files in it. Only signatures are taken: what a name may lead to elsewhere is never read."""
    signature = [status.st_dev, status.st_ino, status.st_ctime_ns]
    for file in files:
        try:
            inner = os.stat(f"{name}/{file}", dir_fd=parent, follow_symlinks=False)
        except OSError:
            continue
        signature += (inner.st_ino, inner.st_size, inner.st_ctime_ns) if stat.S_ISREG(inner.st_mode) else (1, 1, 1)
    return tuple(signature)


def _replaced(root: DataRoot, store: Tree, measured: Mapping[Tree, Measured], immutable: Collection[Tree]) -> set[Tree]:
    """The entries of a store that are not the directories or files that were measured.

    overlay2 puts a file beside the files of an image layer when the first layer is made on it: that is found here
    because it comes with that layer, which is new in the same store.
    """
    found: set[Tree] = set()
    try:
        with root.directory(store) as descriptor:
            for name in os.listdir(descriptor):
                tree = (*store, name)
                known = measured.get(tree)
                if known is None or tree in root.mounts:
                    continue
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                identity: Identity = (status.st_dev, status.st_ino, status.st_ctime_ns)
                still = stat.S_ISREG(status.st_mode) or tree in immutable
                if identity != known.identity if still else identity[:2] != known.identity[:2]:
                    found.add(tree)
    except OSError:
        return found
    return found
