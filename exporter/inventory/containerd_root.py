"""Finds and opens the root of the containerd that keeps the images of a data root, where that is one of the host.

dockerd starts a containerd of its own only where it finds none on the host. Distribution packages and docker-ce bring
one, and nothing below the data root names its root.
"""

import math
import os
import stat
import time

from msgspec import Struct, field

from exporter.config.settings import DEFAULT_ROOT, FIND_CONTAINERD, NO_CONTAINERD
from exporter.core.data_root import DataRoot, Untaken
from exporter.core.fault_log import FAULT_LOG
from exporter.core.hang_probe import HANG_PROBE
from exporter.core.shortage import is_shortage
from exporter.inventory.containerd_places import CONFIG, of_mounts, places
from exporter.inventory.containerd_proof import Evidence, Store, read_store
from exporter.inventory.image_store.store import DAEMON, METADATA
from exporter.inventory.opening import add_further, identify

#: How long after a search the next one is made: where a root is known or none is needed; where one is wanted; and there
#: at the earliest, where something has changed.
_SETTLED_SECONDS, _AGAIN_SECONDS, _SOON_SECONDS = 300.0, 30.0, 5.0
_NOT_FOUND = "no directory was found that is the root of a containerd with images of Docker"
_HIDDEN = "containers that run have their layers there, and it cannot be seen from here: mount it, too"
_NO_PROOF = "nothing proves it: the data root has neither containers nor builds"
Identity = tuple[int, int]


class Search(Struct):
    """The result of a search: the root that is `taken`, or those that are `untaken`, with the reason.

    `read`: the directories that were read for it. `denied`: the device and inode of what this process may not read.
    `settled`: none is needed, since the images are below the data root.
    """

    taken: str = ""
    untaken: dict[str, Untaken] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    denied: set[Identity] = field(default_factory=set)
    settled: bool = False

    def refuse(self, path: str, why: str, *, possible: bool = False) -> None:
        """Note why a directory is not taken."""
        self.untaken[path] = Untaken(path, why, possible)


class ContainerdRoot:
    """Opens one further root with each data root that is opened. What was found holds until it is another directory."""

    def __init__(self, setting: str) -> None:
        """`setting`: a path, FIND_CONTAINERD or NO_CONTAINERD."""
        self._setting = setting or FIND_CONTAINERD
        self.search = Search()
        self._data: Identity | None = None
        self._identity: Identity | None = None
        #: The root that was taken last.
        self._last = ""
        self._seen: object = None
        self._searched = -math.inf
        #: The containers that are known to have no snapshots, for some time: what they are is in a file of each.
        self._without: set[str] = set()
        self._without_since = -math.inf

    @property
    def changed(self) -> bool:
        """Whether the root that was taken is another directory now, or is gone."""
        return bool(self.search.taken) and identify(self.search.taken) != self._identity

    def attach(self, root: DataRoot) -> None:
        """Open the root of the containerd beside a data root. Where that cannot be, `untaken` of the root says why.

        Raises OSError only where this process has no descriptor or memory left for it.
        """
        if self._setting == NO_CONTAINERD:
            return
        if self._is_due(root):
            self._look(root)
        if path := self.search.taken:
            try:
                top = add_further(root, path)
                self._identity = root.identities[top]
            except OSError as error:
                lost = Search()
                lost.refuse(path, _failed(lost, error, path))
                self.search, self._searched = lost, -math.inf
        root.untaken = tuple(self.search.untaken.values())

    def _is_due(self, root: DataRoot) -> bool:
        """Whether to search: what was known may not hold any more."""
        if (root.device, root.inode) != self._data or self.changed:
            return True
        since = time.monotonic() - self._searched
        if self.search.taken or self.search.settled:
            return since >= _SETTLED_SECONDS
        if self.search.denied:  # nothing is read again before it may be
            return since >= _SOON_SECONDS
        return since >= _AGAIN_SECONDS or (since >= _SOON_SECONDS and self._signature(root) != self._seen)

    def _look(self, root: DataRoot) -> None:
        """Search, and remember what was found."""
        if (root.device, root.inode) != self._data:
            self.search, self._last = Search(), ""
        found = self._found(root)
        if not found.taken and self.search.taken and not self.changed:
            # What was proved once holds without a proof: the last container may have been removed.
            found = self.search
        self._last = found.taken or self._last
        if found.untaken and (why := _why_lost(self._last)):
            found.untaken.pop("", None)
            found.refuse(self._last, why)
        self.search = found
        self._data = root.device, root.inode
        self._seen = self._signature(root)
        self._searched = time.monotonic()

    def _found(self, root: DataRoot) -> Search:
        """Search. Raises OSError where this process has no descriptor or memory left for it."""
        if (root.device, root.inode) != self._data or time.monotonic() - self._without_since >= _SETTLED_SECONDS:
            self._without, self._without_since = set(), time.monotonic()
        try:
            return _search(root, self._setting, self._without)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen: the data root is read all the same
            failed = Search()
            failed.refuse("", f"the exporter failed to find it: {FAULT_LOG.note(error, 'the root of a containerd')}")
            return failed

    def _signature(self, root: DataRoot) -> object:
        """What tells, without reading much, that a directory that was not taken may be the right one now."""
        if self._setting != FIND_CONTAINERD:
            return identify(self._setting)
        try:
            containers = tuple(root.names(("containers",)))
        except OSError:
            containers = ()
        return containers, tuple((path, identify(path)) for path in places(root.path, lambda _error, _path: None))


def _why_lost(path: str) -> str:
    """Why the root that was taken before is none any more."""
    try:
        return why_none(path) if path else ""
    except OSError as error:
        return error.strerror or ""


def _search(root: DataRoot, setting: str, without: set[str]) -> Search:
    """Find the root. Raises OSError where this process has no descriptor or memory left for it."""
    found = Search()
    if setting != FIND_CONTAINERD:
        path = os.path.abspath(setting)
        try:
            why = why_none(path) or _why_not_beside(root, path)
        except OSError as error:
            why = _failed(found, error, path)
        if why:
            found.refuse(path, why)
        elif not _is_read_with(root, path):
            found.taken = os.path.realpath(path)
    elif not root.is_directory((METADATA,)):  # else the data root is that of a containerd itself
        evidence = Evidence(root, without)
        if evidence.is_in_containerd:
            own = _own_store(root)
            found.settled = own is not None and _explains(own, evidence)
            if not found.settled and not (own and own.error):
                _Finder(root, evidence, found, own=own is not None).run()
    return found


def _own_store(root: DataRoot) -> Store | None:
    """The store of a containerd that dockerd has started itself, below the data root."""
    if not root.is_directory((*DAEMON, METADATA)):
        return None
    try:
        return read_store(root.absolute(DAEMON))
    except OSError:
        return None


def _explains(own: Store, evidence: Evidence) -> bool:
    """Whether the containerd below the data root is the one that keeps its images."""
    return bool(own.score(evidence)) or not (own.empty or evidence.containers)


class _Finder:
    """Looks at each place where the root may be, and takes the one with the most of the data root in it."""

    def __init__(self, root: DataRoot, evidence: Evidence, found: Search, *, own: bool) -> None:
        """`own`: there is a containerd below the data root, in which nothing of it is."""
        self._root = root
        self._evidence = evidence
        self._found = found
        self._own = own
        self._best = 0
        #: A root of which nothing proves that it is the one, and against which nothing speaks.
        self._likely = ""

    def run(self) -> None:
        """Find it. Raises OSError where this process has no descriptor or memory left for it."""
        found = self._found
        found.read.append(os.path.dirname(CONFIG))
        for path, of_host in places(self._root.path, lambda error, at: _failed(found, error, at)).items():
            store = self._store(path)
            if store is not None:
                self._judge(os.path.realpath(path), store, of_host=of_host)
        found.taken = found.taken or self._likely
        if found.taken:
            found.untaken.clear()
            found.denied.clear()
        elif not (found.untaken or self._own):
            hidden = next((path for path in of_mounts() if not os.path.lexists(path)), "")
            found.refuse(hidden, _HIDDEN if hidden else _NOT_FOUND)

    def _store(self, path: str) -> Store | None:
        """What the containerd with this root has; None where there is none, or the data root is that place."""
        found, place = self._found, os.path.join(path, METADATA)
        try:
            if why_none(path) or _why_not_beside(self._root, path) or _is_read_with(self._root, path):
                return None
            found.read.append(os.path.realpath(place))
            return read_store(path)
        except OSError as error:
            return Store(error=_failed(found, error, place))

    def _judge(self, path: str, store: Store, *, of_host: bool) -> None:
        found, evidence = self._found, self._evidence
        score = store.score(evidence)
        if score > self._best:
            self._best, found.taken = score, path
        if score or path in found.untaken:
            return
        if store.error:
            found.refuse(path, store.error, possible=True)
        elif store.serves_docker():
            why = store.doubt(evidence)
            # Both are in their usual places on this host, and nothing in the one is another engine's.
            if not why and of_host and self._root.path == os.path.realpath(DEFAULT_ROOT) and not self._own:
                self._likely = self._likely or path
            found.refuse(path, why or _NO_PROOF, possible=True)


def why_none(path: str) -> str:
    """Why a path is not the root of a containerd; "" if it is one. Raises OSError."""
    if not HANG_PROBE.answers(path):
        return "its filesystem does not answer"
    if not _is_directory(path):
        return "is not a directory" if os.path.lexists(path) else "does not exist"
    if not _is_directory(os.path.join(path, METADATA)):
        return f"is not the root of a containerd: it has no {METADATA}"
    return ""


def _is_directory(path: str) -> bool:
    """Whether a directory is there. Raises OSError where that may not be looked at."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _why_not_beside(root: DataRoot, path: str) -> str:
    """Why the root of a containerd cannot be a second root."""
    real = os.path.realpath(path)
    return "the data root lies in it" if root.path != real and _is_below(root.path, real) else ""


def _is_read_with(root: DataRoot, path: str) -> bool:
    """Whether a directory is the data root, lies in it, or is another name of one of these: a bind mount."""
    real = os.path.realpath(path)
    if _is_below(real, root.path):
        return True
    identity = identify(real)
    if identity == (root.device, root.inode):
        return True
    try:
        own = root.lstat(DAEMON)
    except OSError:
        return False
    return identity == (own.st_dev, own.st_ino)


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")


def _failed(found: Search, error: OSError, path: str) -> str:
    """Note that something could not be read; return why. Raises it where this process has no descriptor left."""
    if is_shortage(error):
        raise error
    if isinstance(error, PermissionError) and (identity := identify(path) or identify(os.path.dirname(path))):
        found.denied.add(identity)
    return f"cannot be read: {error.strerror}"
