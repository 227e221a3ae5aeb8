"""The sources of bind mounts that somebody has named (`--collector.binds.include`), and what they hold.

They lie outside of the data root and are no part of any sum. Containers can write in many of them, so a path there is
as untrusted as one below the root: no link is followed unless where it leads is named, too.
"""

import os
import stat
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct, field

from exporter.config.limits import matches
from exporter.config.settings import BindSettings
from exporter.core.data_root import DataRoot, UnreadableError, reason_of
from exporter.core.hang_probe import HANG_PROBE
from exporter.core.links import NO_LINKS
from exporter.core.measured import Measured, Reason, Tree, Usage
from exporter.core.model import Collector, Inventory, Problem
from exporter.core.mountinfo import WITH_SUBVOLUMES, MountPoint, foreign_trees, is_local, mount_of
from exporter.measure.exclusions import Exclusions
from exporter.measure.pool.task import Result, Task

#: As the kernel follows them (path_resolution(7)).
_MOST_LINKS = 40
#: What systemd mounts over directories that a service is not to see (ProtectHome=, PrivateTmp=; systemd.exec(5)).
_HIDING = ("/systemd/inaccessible/", "/systemd-private-")


class _Found(Struct):
    """The sources of one reading: the tree of each, and why others have none. `below`: what is mounted on the host."""

    trees: dict[str, Tree] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    below: dict[Tree, MountPoint] = field(default_factory=dict)
    #: The trees to which something that runs may write, and those in which directories can have devices of their own.
    active: set[Tree] = field(default_factory=set)
    with_subvolumes: set[Tree] = field(default_factory=set)

    def fail(self, source: str, reason: Reason, detail: str) -> None:
        """Note why a source is not measured."""
        self.problems.append(Problem(Collector.VOLUMES, reason, source, detail))


class Binds:
    """Keeps what is known of these sources. Their trees begin with the path of the host's / as a further root has it.

    `changes` goes up whenever a figure may have changed.
    """

    def __init__(self, settings: BindSettings) -> None:
        self.changes = 0
        #: The device and inode of the host's /, by its path as a tree; empty where no source is named.
        self.identities: dict[Tree, tuple[int, int]] = {}
        #: By tree, how it was measured last.
        self.measured: dict[Tree, Measured] = {}
        self._settings = settings
        self._found = _Found()
        #: The trees to measure.
        self.trees: frozenset[Tree] = frozenset()
        self._problems: dict[Tree, list[Problem]] = {}

    @property
    def growing(self) -> dict[Tree, bool]:
        """The same, and whether something that runs may write to each."""
        return {tree: tree in self._found.active for tree in self._found.trees.values()}

    @property
    def problems(self) -> list[Problem]:
        """What could not be found or read."""
        return [*self.unfound, *(one for many in self._problems.values() for one in many)]

    @property
    def unfound(self) -> Sequence[Problem]:
        """Those of them that are about sources that could not be found."""
        return self._found.problems

    @property
    def usages(self) -> dict[str, Usage]:
        """What each source holds, as far as that is known as a whole."""
        known = ((source, self.measured.get(tree)) for source, tree in self._found.trees.items())
        return {source: measured.usage for source, measured in known if measured is not None}

    def forget(self) -> None:
        """Forget the sources of a root that is gone."""
        self.measured, self._problems, self._found, self.trees = {}, {}, _Found(), frozenset()
        self.changes += 1

    def identify(self) -> dict[Tree, tuple[int, int]]:
        """Find the directory that is the host's / now; it stays as it was where that cannot be told."""
        rootfs = self._settings.rootfs or "/"
        if self._settings.include and HANG_PROBE.answers(rootfs):
            with suppress(OSError), DataRoot(rootfs) as host:
                self.identities = {(host.path,): host.identities[()]}
        return self.identities

    def find(self, inventory: Inventory, mounts: Sequence[MountPoint]) -> set[Tree]:
        """Find the sources that containers mount now. Returns the trees of which nothing is known yet."""
        if not self._settings.include:
            return set()
        wanted = {
            mount.source: one.runs is not False
            for one in sorted(inventory.containers, key=lambda one: one.runs is not False)
            for mount in one.mounts
            if mount.kind == "bind" and mount.source.startswith("/")
        }
        chosen = {source: runs for source, runs in sorted(wanted.items()) if matches(self._settings.include, source)}
        found = self._resolve_all(chosen, mounts) if chosen else _Found()
        self.changes += (found.trees, found.problems) != (self._found.trees, self._found.problems)
        self._found = found
        trees = self.trees = frozenset(found.trees.values())
        for known in (self.measured, self._problems):
            for gone in known.keys() - trees:
                del known[gone]
        return {*trees} - self.measured.keys() - self._problems.keys()

    def tasks(self, trees: Iterable[Tree], pace: float) -> list[Task]:
        """The tasks for the pool. Mounts below a source are not entered, as `du -x` does not."""
        chosen = sorted(self.trees & {*trees})
        mounts = sorted(self._found.below) if chosen else []
        weights = (known.entries if (known := self.measured.get(tree)) else 0 for tree in chosen)
        return [
            Task(tree, _exclusions(tree, mounts), pace=pace, weight=weight)
            for tree, weight in zip(chosen, weights, strict=True)
        ]

    def note(self, result: Result) -> bool:
        """Note a result; return whether its size has changed. What is not whole is not known."""
        task, tree, now = result.task, result.task.tree, result.measured
        before = self.measured.pop(tree, None)
        self._problems.pop(tree, None)
        if now is not None and self._has_foreign_files(tree, now):
            task.fail(Reason.IO, tree, "files there have other devices than their directory, as on an overlay")
        trouble = task.trouble
        if trouble is not None and (now is None or trouble.counts.keys() - {Reason.VANISHED}):
            kept = [Problem(Collector.VOLUMES, why, os.path.join(*path), detail) for why, path, detail in trouble.kept]
            self._problems[tree], now = kept, None
        if now is not None:
            self.measured[tree] = now.counting(now.usage, NO_LINKS)
        changed = (before and before.usage) != (now and now.usage)
        self.changes += changed
        return changed

    def _has_foreign_files(self, tree: Tree, measured: Measured) -> bool:
        """Whether more was left out than is mounted there. A walk takes a file with another device for a mount."""
        if not measured.skipped_mounts or tree in self._found.with_subvolumes:
            return False
        return measured.skipped_mounts > sum(1 for _ in _mounted_below(tree, sorted(self._found.below)))

    def _resolve_all(self, sources: Mapping[str, bool], mounts: Sequence[MountPoint]) -> _Found:
        """Find the tree of each source. `sources`: whether something that runs may write to each."""
        found, rootfs, why, reason = _Found(), self._settings.rootfs or "/", "", Reason.NOT_REGULAR
        if not self._settings.rootfs and _is_of_a_container(mounts):
            why = "/ is that of a container here; --path.rootfs says where the host's is mounted"
        elif not HANG_PROBE.answers(rootfs):
            why, reason = f"{rootfs}: the filesystem does not answer", Reason.TIMEOUT
        else:
            try:
                with DataRoot(rootfs) as host:
                    below = foreign_trees(host.path, mounts)
                    host.mounts, host.answers, host.mountinfo = frozenset(below), HANG_PROBE.answers, mounts
                    found.below = {(host.path, *tree): mount for tree, mount in below.items()}
                    for source, runs in sources.items():
                        self._add(found, host, source, runs=runs)
            except OSError as error:
                why, reason = f"{rootfs} cannot be opened: {error.strerror}", reason_of(error)
        for source in sources if why else ():
            found.fail(source, reason, why)
        return found

    def _add(self, found: _Found, host: DataRoot, source: str, *, runs: bool) -> None:
        """Find the tree of one source."""
        try:
            tree = self._resolve(host, found, source)
        except OSError as error:
            found.fail(source, reason_of(error), error.strerror or "")
        except UnreadableError as error:
            found.fail(source, error.reason, error.detail)
        else:
            if tree is not None:
                found.trees[source] = tree
                if runs:
                    found.active.add(tree)
                around = mount_of(host.absolute(tree[1:]), host.mountinfo)
                if around is not None and around.fstype in WITH_SUBVOLUMES:
                    found.with_subvolumes.add(tree)

    def _is_asked(self, mount: MountPoint) -> bool:
        """Whether what is mounted on the way is to be read; raises UnreadableError where it is not the host's own."""
        if any(one in f"{mount.inside}/" for one in _HIDING):
            raise UnreadableError(Reason.PERMISSION, "hidden by the unit of this service (ProtectHome=, PrivateTmp=)")
        return self._settings.network or is_local(mount.fstype)

    def _resolve(self, host: DataRoot, found: _Found, source: str) -> Tree | None:
        """The tree of a source, without links; None where it lies on a network filesystem that is not asked.

        Raises OSError, and UnreadableError for a link that leads to what is not named.
        """
        top: Tree = (host.path,)
        at, left, links = top, deque(source.split("/")), 0
        while left:
            name = left.popleft()
            if name in ("", "."):
                continue
            if name == "..":
                at = at[:-1] or top
                continue
            if (mount := found.below.get((*at, name))) is not None and not self._is_asked(mount):
                return None
            if not stat.S_ISLNK(host.lstat((*at[1:], name)).st_mode):
                at = (*at, name)
                continue
            links += 1
            target = host.link((*at[1:], name))
            if target is None or links > _MOST_LINKS:
                raise UnreadableError(Reason.LOOP, "a link that cannot be followed")
            if target.startswith("/"):
                at = top
            left.extendleft(reversed(target.split("/")))
        real = "/" + "/".join(at[1:])
        if links and not matches(self._settings.include, real):
            raise UnreadableError(
                Reason.NOT_REGULAR, f"a link leads to {real}, which --collector.binds.include leaves out"
            )
        return at


def _exclusions(tree: Tree, mounts: Sequence[Tree]) -> Exclusions:
    """What is mounted below a tree; `mounts` are sorted."""
    exclusions = Exclusions()
    for mount in _mounted_below(tree, mounts):
        exclusions.add(mount[len(tree) :], mount=True)
    return exclusions


def _mounted_below(tree: Tree, mounts: Sequence[Tree]) -> Iterator[Tree]:
    """The mounts below a tree, without those that lie in one of these; `mounts` are sorted."""
    last = None
    for at in range(bisect_left(mounts, tree), len(mounts)):
        mount = mounts[at]
        if mount[: len(tree)] != tree:
            return
        if mount != tree and (last is None or mount[: len(last)] != last):
            last = mount
            yield mount


def _is_of_a_container(mounts: Sequence[MountPoint]) -> bool:
    """Whether the / of this process is the root filesystem of a container: an overlay, as engines mount it."""
    top = next((one for one in reversed(mounts) if one.path == "/"), None)
    return top is not None and top.fstype in ("overlay", "fuse.fuse-overlayfs")
