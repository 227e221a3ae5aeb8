"""Compares signatures of a data root with those of the last look. So changes without an event are found.

A look compares the listings of all stores, the entries of some, and files that Docker rewrites in place. The table of
areas says which. A host with a thousand containers needs about four thousand calls of lstat.
"""

import os
import stat
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct, field

from exporter.core.area import Signature
from exporter.core.clock import SYSTEM_CLOCK, Clock
from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Identity, Measured, Tree
from exporter.inventory.areas import VOLUMES, RootAreas, table
from exporter.inventory.files.reader import is_id
from exporter.schedule.findings import Findings
from exporter.schedule.signatures import Packed, is_same_directory, newest, of_file, pack

#: While events arrive, entries that have events, and their files, are compared only in every eighth look. With so many
#: of them that is left out once, with twice as many twice, and so on, but not more often than `_RAREST` says.
_THOROUGH_EVERY = 8
_MANY_ENTRIES = 512
_RAREST = 4
#: Timestamps have the granularity of the kernel's tick. So after a change within so many seconds, another one may
#: leave the same timestamp.
_RECENT_SECONDS = 0.05
#: Some filesystems have times with steps of two seconds. Of a directory that changed within so many seconds before it
#: was signed, each look asks again for the files that it had not.
_YOUNG_SECONDS = 2.0
#: Stand in a signature for a file that is not there, and for one of which nothing is known.
_ABSENT, _UNKNOWN = (0, 0, 0), (2, 2, 2)
_PACKED_ABSENT = pack(_ABSENT)
_NOTHING: Mapping[str, Packed] = {}


class _Signed(Struct):
    """The signatures of a store's entries, by name.

    `names`: the listing they are of; None after some were signed again. `untold`: those of which no event tells, and
    those that could not be signed.
    """

    signatures: dict[str, Packed] = field(default_factory=dict)
    names: Sequence[str] | None = None
    untold: list[str] = field(default_factory=list)


class _Look:
    """What a look has signed."""

    def __init__(self, mounts: Collection[Tree]) -> None:
        self.mounts = mounts
        #: The directories in which something is mounted, and those around these.
        self.around_mounts = {mount[:-depth] for mount in mounts for depth in (1, 2)}
        self.listings: dict[Tree, Packed] = {}
        self.entries: dict[Tree, _Signed] = {}
        #: What changed just before it was signed.
        self.recent: set[Tree] = set()
        #: The entries whose directories had changed not long before they were signed, and maybe others.
        self.young: set[Tree] = set()

    def signature(self, key: Tree) -> Packed | None:
        """The signature of a store or an entry; None without one."""
        if key in self.listings or not key:
            return self.listings.get(key)
        signed = self.entries.get(key[:-1])
        return signed.signatures.get(key[-1]) if signed else None

    def changed_entries(self, before: "_Look") -> set[Tree]:
        """The entries that have a signature in both looks, and not the same."""
        found = set[Tree]()
        for store, signed in self.entries.items():
            old = before.entries.get(store)
            if old is not None and old is not signed and old.signatures != signed.signatures:
                known = old.signatures
                changed = [name for name, sign in signed.signatures.items() if known.get(name, sign) != sign]
                found.update((*store, name) for name in changed)
        return found


class Reconciler:
    """Remembers the signatures of one root."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._last = _Look(())
        self._areas = RootAreas()
        #: The volumes that are mounts, or on which something is mounted.
        self._mounts: set[Tree] = set()
        #: The stores that `mark_seen` has signed since the last look. Their entries are compared with `measured`.
        self._seen: set[Tree] = set()
        self._comparisons = 0
        #: The numbers of the next look that is thorough, and of the next one that compares every entry, unless events
        #: may have been lost before.
        self._next_thorough = self._next_whole = 0
        self._doubtful = True
        #: Whether the watches worked at the last look.
        self._watching = False
        #: Whether the last look was one of every eighth, or compared every entry.
        self.thorough = True
        #: Whether it compared every entry.
        self.whole = True

    def compare_signatures(  # noqa: PLR0913 - a root, what is known of it, and how it may change
        self,
        root: DataRoot,
        areas: RootAreas,
        measured: Mapping[Tree, Measured],
        *,
        immutable: Collection[Tree] = (),
        watching: bool = False,
        local: bool = True,
    ) -> Findings:
        """Compare with the last look; the first one finds nothing.

        `measured`: an entry of a changed store is a finding if it is not the directory that was measured. In an
        `immutable` tree its ctime counts, too. `watching`: the watches work, so most looks leave out what has events.
        `local`: nobody changes it without events, as another host does on a network filesystem.
        """
        before = self._last
        look = self._last = _Look(root.mounts)
        stores_before, self._areas = self._areas.stores, areas
        self._plan_look(before, watching=watching, local=local)
        self._sign(root, before)
        mounts_before, self._mounts = self._mounts, _of_volumes(root.mounts)
        findings = Findings()
        if not before.listings:
            return findings
        stores = {*areas.tops, *areas.stores, *stores_before}
        findings.stores = {store for store in stores if before.listings.get(store) != look.listings.get(store)}
        findings.new = findings.stores.difference(stores_before, areas.tops)
        # No event tells of a mount, and none is missed. One of a volume comes and goes with its containers.
        mounted = self._mounts ^ mounts_before
        findings.entries = look.changed_entries(before) - mounted
        findings.again = mounted.union(key for key in before.recent if before.signature(key) == look.signature(key))
        later = set[Tree]()
        for store in findings.stores | self._seen:
            area = table().of(store)
            signed = look.entries.get(store) if area.signature is not None and area.signature.changes else None
            if signed is not None:  # all entries that had a signature were compared by that
                old = before.entries.get(store)
                new = [*signed.signatures] if old is None else [*(signed.signatures.keys() - old.signatures.keys())]
                findings.entries |= _replaced(root, store, measured, immutable, new)
            # A file that does not change once it was written is removed and written again only with events.
            elif self.whole or not (area.immutable or area.fixed):
                findings.entries |= _replaced(root, store, measured, immutable)
            else:
                later.add(store)
        self._seen, findings.unread = later, later & findings.stores
        return findings

    def doubt(self) -> None:
        """Have the next look compare every entry: events may have been lost."""
        self._doubtful = True

    def _plan_look(self, before: _Look, *, watching: bool, local: bool) -> None:
        """Find out how much this look compares."""
        self._watching = watching
        turn = self._comparisons >= self._next_thorough
        self.whole = not watching or self._doubtful or (turn and self._comparisons >= self._next_whole)
        self.thorough = self.whole or turn
        if self.thorough:  # also the others are counted from one out of turn on
            self._next_thorough = self._comparisons + _THOROUGH_EVERY
        if self.whole:
            entries = sum(len(signed.signatures) for signed in before.entries.values()) if local else 0
            self._next_whole = self._comparisons + _THOROUGH_EVERY * min(_RAREST, 1 + entries // _MANY_ENTRIES)
            self._doubtful = False
        self._comparisons += 1

    def replaced(
        self, root: DataRoot, stores: Collection[Tree], measured: Mapping[Tree, Measured], immutable: Collection[Tree]
    ) -> set[Tree]:
        """The entries of these stores, which the last look has left out, that are not what was measured."""
        self._seen -= {*stores}
        return set().union(*(_replaced(root, store, measured, immutable) for store in stores))

    def mark_seen(self, root: DataRoot, areas: RootAreas, dirty: Dirty, listings: Collection[Tree]) -> None:
        """Sign what a scan is about to read, so that the next look does not find it again.

        It reads the `dirty` entries, the listings that contain them, and the `listings` of more stores. All entries
        of a new store are signed.
        """
        last = self._last
        if not last.listings:
            return
        known = dirty.read_again() | {*listings}
        stores = {*areas.tops, *areas.stores}
        for store in stores.union(self._areas.stores):
            whole = dirty.covers(store) or (store not in areas.tops and not self._areas.is_store(store))
            # Every scan lists all stores. Of one without a watch nothing else tells that it has changed.
            if whole or store in known or not table().of(store).watched:
                before = last.listings.pop(store, None)
                self._sign_listing(root, store)
                if whole or store in known or last.listings.get(store) != before:
                    self._seen.add(store)
            if whole:
                last.entries.pop(store, None)
                self._sign_entries(root, store, {})
                continue
            names = [entry[-1] for entry in dirty.entries if entry and entry[:-1] == store and entry not in stores]
            if not self._watching and table().of(store).signature is not None:
                # What has come since the last look is read, too, and no event tells of a change after that.
                signed_names = last.entries.get(store, _Signed()).signatures
                names += [name for name in _names(root, store) or () if name not in signed_names and name not in names]
            if names:
                signed = last.entries.setdefault(store, _Signed())
                signed.names = None
                for name in names:
                    signed.signatures.pop(name, None)
                untold = self._sign_entries(root, store, {}, names)
                signed.untold = [*{*signed.untold, *untold}]

    def _sign(self, root: DataRoot, before: _Look) -> None:
        """Sign the stores and their entries; what the last look has signed is taken over where it is enough."""
        look, stores = self._last, (*self._areas.tops, *self._areas.stores)
        for store in stores:
            self._sign_listing(root, store)
        same_mounts = look.mounts == before.mounts
        if not self.whole:
            look.young |= before.young
        for store in stores:
            known = before.entries.get(store)
            # If the store is another directory now, the signatures of its entries are of no use.
            if known is None or not is_same_directory(before.listings.get(store, b""), look.listings.get(store, b"")):
                self._sign_entries(root, store, {})
            elif self.whole:
                self._sign_entries(root, store, {}, lacking=_settled(store, known.signatures, before.young))
            elif same_mounts and self._is_as_signed(root, store, before):
                if not known.untold:
                    look.entries[store] = known
                    continue
                look.entries[store] = _Signed({**known.signatures}, known.names, known.untold)
                self._sign_entries(root, store, known.signatures, known.untold)
            else:
                self._sign_entries(root, store, known.signatures)

    def _is_as_signed(self, root: DataRoot, store: Tree, before: _Look) -> bool:
        """Whether no entry has come or gone since a store was signed last, as far as its directory tells."""
        signature = table().of(store).signature
        if signature is not None and signature.has_events and before.listings[store] == self._last.listings[store]:
            return True  # events have told of the others, see `mark_seen`: it is not listed for that
        known = before.entries[store]
        return known.names is not None and known.names is _names(root, store)

    def _sign_listing(self, root: DataRoot, store: Tree) -> None:
        signature = _listing_signature(root, store)
        if signature is not None:
            self._last.listings[store] = signature
            self._note(store, signature)

    def _sign_entries(
        self,
        root: DataRoot,
        store: Tree,
        known: Mapping[str, Packed],
        only: Sequence[str] | None = None,
        lacking: Mapping[str, Packed] = _NOTHING,
    ) -> list[str]:
        """Sign the entries of a store, or those with these names, as its area says. Stores are signed already.

        Returns those of which no event tells, and those that could not be signed.

        The files of a directory are not read again if the directory has its `known` signature: with a thousand
        containers, they would be most of the work. Those that it had not are not asked for again if it has the same
        times as in the signatures `lacking`. Mount points are left out.
        """
        wanted = table().of(store).signature
        if wanted is None:
            return []
        look = self._last
        signed = look.entries.setdefault(store, _Signed())
        signatures, mounts = signed.signatures, look.mounts
        others = {key[-1] for key in look.listings if key and key[:-1] == store}
        has_mounts = store in look.around_mounts
        changed_since = (self._clock.now() - _YOUNG_SECONDS) * 1e9
        untold: list[str] = []
        with suppress(OSError), root.directory(store) as descriptor:
            names = root.names(store) if only is None else only
            for name in names:
                if name in others or (has_mounts and (*store, name) in mounts):
                    continue
                old = known.get(name)
                has_events = wanted.has_events and is_id(name)
                if old is not None and has_events:
                    signatures[name] = old
                    continue
                if not has_events:
                    untold.append(name)
                try:
                    hidden = _mounted_files((*store, name), wanted, mounts) if has_mounts else ()
                    before = old or lacking.get(name)
                    signature = _signature_of(descriptor, name, wanted, before, keeps=old is not None, hidden=hidden)
                except OSError:
                    signatures.pop(name, None)
                    if has_events:
                        untold.append(name)
                    continue
                signatures[name] = signature
                # An entry that has not changed for so long is in none of these sets.
                if signature is not old and newest(signature) > changed_since:
                    self._note((*store, name), signature)
                    look.young.add((*store, name))
            if only is None:
                signed.names, signed.untold = names, untold
        return untold

    def _note(self, key: Tree, signature: Packed) -> None:
        if abs(self._clock.now() * 1e9 - newest(signature)) < _RECENT_SECONDS * 1e9:
            self._last.recent.add(key)


def _names(root: DataRoot, store: Tree) -> Sequence[str] | None:
    try:
        return root.names(store)
    except OSError:
        return None


def _of_volumes(mounts: Collection[Tree]) -> set[Tree]:
    """The entries of volumes at which, or at whose data, something is mounted."""
    depth = len(VOLUMES.path)
    inside = [mount for mount in mounts if mount[:depth] == VOLUMES.path]
    return {mount[: depth + 1] for mount in inside if depth < len(mount) <= depth + 2}


def _listing_signature(root: DataRoot, store: Tree) -> Packed | None:
    try:
        status = root.lstat(store)
    except OSError:
        return None
    # With mode and owner: once the permission to read it is back, its content must be read again.
    return pack((status.st_dev, status.st_ino, status.st_mtime_ns, status.st_mode, status.st_uid, status.st_gid))


def _mounted_files(entry: Tree, wanted: Signature, mounts: Collection[Tree]) -> Sequence[str]:
    return [file for file in wanted.files if (*entry, file) in mounts]


def _settled(store: Tree, signatures: Mapping[str, Packed], young: Collection[Tree]) -> Mapping[str, Packed]:
    """The signatures of entries that are not `young`."""
    names = {entry[-1] for entry in young if entry[:-1] == store}
    return {name: one for name, one in signatures.items() if name not in names} if names else signatures


def _signature_of(  # noqa: PLR0913 - an entry, and what is known of it
    parent: int, name: str, wanted: Signature, before: Packed | None, *, keeps: bool, hidden: Collection[str]
) -> Packed:
    """The signature of an entry. Raises OSError.

    If the directory has not changed, it is the one `before` where the caller `keeps` that, and has no more files than
    that has. Those that are `hidden` are not looked at.
    """
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if not wanted.changes:
        return _plain_signature(status)
    if before is not None and not before.startswith(pack((status.st_dev, status.st_ino, status.st_ctime_ns))):
        before = None
    if before is not None and keeps:
        return before
    # The files of what a symbolic link leads to come and go without a change of the link.
    known = before if stat.S_ISDIR(status.st_mode) else None
    return _entry_signature(parent, name, status, wanted.files, known, hidden)


def _plain_signature(status: os.stat_result) -> Packed:
    """The signature of an entry without known files. A directory has its identity only: its content is audited."""
    # What takes the place of something else may get its inode number.
    times = (0,) if stat.S_ISDIR(status.st_mode) else (status.st_mtime_ns, status.st_size)
    return pack((status.st_dev, status.st_ino, *times))


def _entry_signature(  # noqa: PLR0913 - an entry, its files, and what is known of them
    parent: int,
    name: str,
    status: os.stat_result,
    files: Sequence[str],
    known: Packed | None,
    hidden: Collection[str],
) -> Packed:
    """Sign an entry and files in it, each of them in its place. No file is opened.

    No symbolic link is followed at the end of a path. Files that are absent in the `known` signature still are.
    """
    signature = [status.st_dev, status.st_ino, status.st_ctime_ns]
    for at, file in enumerate(files, 1):
        if known is not None and of_file(known, at) == _PACKED_ABSENT:
            signature += _ABSENT
            continue
        if file in hidden:
            signature += _UNKNOWN
            continue
        try:
            inner = os.stat(f"{name}/{file}", dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            signature += _ABSENT
        except OSError:
            signature += _UNKNOWN
        else:
            signature += (inner.st_ino, inner.st_size, inner.st_ctime_ns) if stat.S_ISREG(inner.st_mode) else (1, 1, 1)
    return pack(signature)


def _replaced(
    root: DataRoot,
    store: Tree,
    measured: Mapping[Tree, Measured],
    immutable: Collection[Tree],
    names: Collection[str] | None = None,
) -> set[Tree]:
    """The entries of a store, all or those with these names, that are other directories or files than those measured.

    overlay2 adds a file to the directory of an image layer when the first layer on top of it is made. That changes
    the store as well, so it is found here.
    """
    found: set[Tree] = set()
    try:
        with root.directory(store) as descriptor:
            for name in root.names(store) if names is None else names:
                tree = (*store, name)
                known = measured.get(tree)
                if known is None or tree in root.mounts:
                    continue
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if known.is_as_it_was(status):
                    continue
                before: Identity = known.identity
                still = not stat.S_ISDIR(status.st_mode) or tree in immutable
                if still or before[:2] != (status.st_dev, status.st_ino):
                    found.add(tree)
    except OSError:
        return found
    return found
