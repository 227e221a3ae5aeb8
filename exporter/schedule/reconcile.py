"""Compares signatures of a data root with those of the last look. So changes without an event are found.

A look compares the listings of all stores, the entries of some, and files that Docker rewrites in place. The table of
areas says which. A host with a thousand containers needs about four thousand calls of lstat.
"""

import os
import stat
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from exporter.core.clock import SYSTEM_CLOCK, Clock
from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Identity, Measured, Tree
from exporter.inventory.areas import VOLUMES, RootAreas, table
from exporter.inventory.files.reader import is_id
from exporter.schedule.findings import Findings

_Signature = tuple[int, ...]

#: While events arrive, entries that have events, and their files, are compared only in every eighth look.
_THOROUGH_EVERY = 8
#: Timestamps have the granularity of the kernel's tick. So after a change within so many seconds, another one may
#: leave the same timestamp.
_RECENT_SECONDS = 0.05


class Reconciler:
    """Remembers the signatures of one root."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._signatures: dict[Tree, _Signature] = {}
        self._recent: set[Tree] = set()
        self._areas = RootAreas()
        #: The volumes that are mounts, or on which something is mounted.
        self._mounts: set[Tree] = set()
        #: The stores that `mark_seen` has signed since the last look. Their entries are compared with `measured`.
        self._seen: set[Tree] = set()
        self._comparisons = 0
        #: Whether the last look compared everything.
        self.thorough = True

    def compare_signatures(
        self,
        root: DataRoot,
        areas: RootAreas,
        measured: Mapping[Tree, Measured],
        *,
        immutable: Collection[Tree] = (),
        watching: bool = False,
    ) -> Findings:
        """Compare with the last look; the first one finds nothing.

        `measured`: an entry of a changed store is a finding if it is not the directory that was measured. In an
        `immutable` tree its ctime counts, too. `watching`: the watches work, so most looks leave out what has events.
        """
        before, recent = self._signatures, self._recent
        self._signatures, self._recent = {}, set()
        all_stores = (*areas.tops, *areas.stores)
        stores_before, self._areas = self._areas.stores, areas
        for store in all_stores:
            self._note(store, _listing_signature(root, store))
        self.thorough = not watching or self._comparisons % _THOROUGH_EVERY == 0
        self._comparisons += 1
        known = {} if self.thorough else before
        for store in all_stores:
            # If the store is another directory now, the signatures of its entries are of no use.
            same = before.get(store, ())[:2] == self._signatures.get(store, ())[:2]
            self._sign_entries(root, store, known if same else {})
        mounts_before, self._mounts = self._mounts, _of_volumes(root.mounts)
        findings = Findings()
        if not before:
            return findings
        changed = {key for key, signature in self._signatures.items() if before.get(key) != signature}
        changed |= before.keys() - self._signatures.keys()
        findings.stores = changed & {*all_stores, *stores_before}
        findings.new = findings.stores.difference(stores_before, areas.tops)
        findings.entries = {key for key in changed - findings.stores if key in before and key in self._signatures}
        # No event tells of a mount, and none is missed. One of a volume comes and goes with its containers.
        mounted = self._mounts ^ mounts_before
        findings.entries -= mounted
        findings.again = (recent - changed) | mounted
        later = set[Tree]()
        for store in findings.stores | self._seen:
            # A file that does not change once it was written is removed and written again only with events.
            area = table().of(store)
            if not self.thorough and (area.immutable or (area.fixed and store not in findings.stores)):
                later.add(store)
                continue
            findings.entries |= _replaced(root, store, measured, immutable)
        self._seen = later
        return findings

    def mark_seen(self, root: DataRoot, areas: RootAreas, dirty: Dirty, listings: Collection[Tree]) -> None:
        """Sign what a scan is about to read, so that the next look does not find it again.

        It reads the `dirty` entries, the listings that contain them, and the `listings` of more stores. All entries
        of a new store are signed.
        """
        if not self._signatures:
            return
        known = dirty.read_again() | {*listings}
        for store in {*areas.tops, *areas.stores, *self._areas.stores}:
            whole = dirty.covers(store) or (store not in areas.tops and not self._areas.is_store(store))
            # Every scan lists all stores. Of one without a watch nothing else tells that it has changed.
            if whole or store in known or not table().of(store).watched:
                before = self._signatures.pop(store, None)
                self._note(store, _listing_signature(root, store))
                if whole or store in known or self._signatures.get(store) != before:
                    self._seen.add(store)
            candidates = self._signatures if whole else dirty.entries
            stores = {*areas.tops, *areas.stores}
            entries = [key for key in candidates if key and key[:-1] == store and key not in stores]
            for key in entries:
                self._signatures.pop(key, None)
            if whole or entries:
                self._sign_entries(root, store, {}, None if whole else [key[-1] for key in entries])

    def _sign_entries(
        self, root: DataRoot, store: Tree, known: Mapping[Tree, _Signature], names: Sequence[str] | None = None
    ) -> None:
        """Sign the entries of a store, or those with these names, as its area says. Stores are signed already.

        The files of a directory are not read again if the directory has its `known` signature: with a thousand
        containers, they would be most of the work. Mount points are left out.
        """
        wanted = table().of(store).signature
        if wanted is None:
            return
        signatures, mounts = self._signatures, root.mounts
        with suppress(OSError), root.directory(store) as descriptor:
            for name in root.names(store) if names is None else names:
                entry = (*store, name)
                if entry in signatures or entry in mounts:
                    continue
                old = known.get(entry)
                if old is not None and wanted.has_events and is_id(name):
                    signatures[entry] = old
                    continue
                try:
                    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                except OSError:
                    continue
                if not wanted.changes:
                    self._note(entry, _plain_signature(status))
                elif old is not None and old[:3] == (status.st_dev, status.st_ino, status.st_ctime_ns):
                    signatures[entry] = old
                else:
                    files = [file for file in wanted.files if (*entry, file) not in mounts]
                    self._note(entry, _entry_signature(descriptor, name, status, files))

    def _note(self, key: Tree, signature: _Signature | None) -> None:
        if signature is None:
            return
        self._signatures[key] = signature
        if abs(self._clock.now() * 1e9 - max(signature[2:])) < _RECENT_SECONDS * 1e9:
            self._recent.add(key)


def _of_volumes(mounts: Collection[Tree]) -> set[Tree]:
    """The entries of volumes at which, or at whose data, something is mounted."""
    depth = len(VOLUMES.path)
    inside = [mount for mount in mounts if mount[:depth] == VOLUMES.path]
    return {mount[: depth + 1] for mount in inside if depth < len(mount) <= depth + 2}


def _listing_signature(root: DataRoot, store: Tree) -> _Signature | None:
    try:
        status = root.lstat(store)
    except OSError:
        return None
    # With mode and owner: once the permission to read it is back, its content must be read again.
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_mode, status.st_uid, status.st_gid


def _plain_signature(status: os.stat_result) -> _Signature:
    """The signature of an entry without known files. A directory has its identity only: its content is audited."""
    times = (status.st_mtime_ns, status.st_size) if stat.S_ISREG(status.st_mode) else (0,)
    return status.st_dev, status.st_ino, *times


def _entry_signature(parent: int, name: str, status: os.stat_result, files: Sequence[str]) -> _Signature:
    """Sign an entry and files in it. No file is opened, and no symbolic link is followed at its end."""
    signature = [status.st_dev, status.st_ino, status.st_ctime_ns]
    for file in files:
        try:
            inner = os.stat(f"{name}/{file}", dir_fd=parent, follow_symlinks=False)
        except OSError:
            continue
        signature += (inner.st_ino, inner.st_size, inner.st_ctime_ns) if stat.S_ISREG(inner.st_mode) else (1, 1, 1)
    return tuple(signature)


def _replaced(root: DataRoot, store: Tree, measured: Mapping[Tree, Measured], immutable: Collection[Tree]) -> set[Tree]:
    """The entries of a store that are other directories or files than those measured.

    overlay2 adds a file to the directory of an image layer when the first layer on top of it is made. That changes
    the store as well, so it is found here.
    """
    found: set[Tree] = set()
    try:
        with root.directory(store) as descriptor:
            for name in root.names(store):
                tree = (*store, name)
                known = measured.get(tree)
                if known is None or tree in root.mounts:
                    continue
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if known.is_as_it_was(status):
                    continue
                before: Identity = known.identity
                still = stat.S_ISREG(status.st_mode) or tree in immutable
                if still or before[:2] != (status.st_dev, status.st_ino):
                    found.add(tree)
    except OSError:
        return found
    return found
