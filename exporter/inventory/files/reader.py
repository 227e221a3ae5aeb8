"""Safe reading of untrusted metadata: every failure becomes a counted problem and a None."""

import re
import stat
import time
from collections.abc import Callable, Collection
from functools import partial
from itertools import filterfalse
from typing import Any, TypeVar

from msgspec import Struct, field

from exporter.core.data_root import DataRoot, UnreadableError, reason_of
from exporter.core.fault_log import FAULT_LOG
from exporter.core.knowledge import Input
from exporter.core.listings import Names, in_order
from exporter.core.measured import Reason, Tree
from exporter.core.model import Collector
from exporter.inventory.files.bolt import BoltError, Bucket
from exporter.inventory.files.database import forget_database, read_database
from exporter.inventory.files.memo import Memo, StoreEntries
from exporter.inventory.files.problems import Problems, Unread
from exporter.inventory.files.values import Json, decode

#: Images, layers and containers are named by 64 hex digits (Docker 1.5 utils/utils.go, ValidateID).
ID = re.compile(r"[0-9a-f]{64}", re.ASCII)

_TORN_AGE_SECONDS = 2.0
_TORN_WAIT_SECONDS = 0.05
_LONGEST_LINE = 300
#: Of a directory of which more than one in so many entries is asked for, all are read: to ask for each takes longer.
_MOST_OF = 8
#: Why something is not known that every engine makes.
MISSING = "it is missing"

T = TypeVar("T")


class _Objects(Struct):
    """What was found in a directory of objects the last time.

    `found`: the objects, in order. `odd`: the other names, and what something was to be noted of. `whole`: the look
    has ended.
    """

    found: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    whole: bool = False


def wait_for_writer() -> None:
    """Give a daemon that is rewriting a file the time to finish."""
    time.sleep(_TORN_WAIT_SECONDS)


def is_id(text: object) -> bool:
    """Whether this can be the id of an image, layer or container, and so a path component."""
    return isinstance(text, str) and ID.fullmatch(text) is not None


class Reader:
    """Reads metadata files of one data root for one collector. `looked_at`: the number of entries and files read."""

    def __init__(self, root: DataRoot, collector: Collector, problems: Problems, memo: Memo | None = None) -> None:
        self.root = root
        self.looked_at = 0
        #: Whether a directory could not be listed: then there may be objects that nobody knows.
        self.unlisted = False
        #: The symbolic links that were met in the place of directories and files, with their targets.
        self.links: dict[Tree, str] = {}
        self._collector = collector
        self._problems = problems
        self._memo = memo or Memo()

    def once(  # noqa: PLR0913 - what is read, how, and for how long it holds
        self,
        kind: str,
        entry: Tree,
        read: Callable[[], T],
        instead: T,
        *,
        also: tuple[Tree, ...] = (),
        lasts: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """Return what `read` returned for this entry before; `instead`, as a problem, where it fails.

        It is called again where the entry is dirty, had a problem then, or has a value that does not last.
        """

        def attempt() -> tuple[T, bool]:
            before = self._problems.noted
            value = self.attempt(entry, read, instead)
            return value, self._problems.noted == before and lasts(value)

        return self._memo.get(kind, entry, attempt, also)

    def derived(self, kind: str, entry: Tree, make: Callable[[], T]) -> T:
        """A store of what is derived from an entry, for this reading and the next ones, see `Memo.derived`."""
        return self._memo.derived(kind, entry, make)

    def entries(self, kind: str, store: Tree, also: tuple[Tree, ...] = ()) -> StoreEntries[Any]:
        """The values of the entries of one store, until an entry is dirty, see `Memo.entries`."""
        return self._memo.entries(kind, store, also)

    def each(  # noqa: PLR0913 - as `once`
        self,
        kind: str,
        store: Tree,
        names: Collection[str],
        read: Callable[[str], T],
        instead: Callable[[str], T],
        *,
        also: tuple[Tree, ...] = (),
    ) -> dict[str, T]:
        """What `read` returned for these entries of a store, see `once`: for thousands of them, of which few are read.

        `also`: stores with entries by the same names, on which the values depend as well.
        """
        known: dict[str, T] = self.entries(kind, store, also)
        asked = [*filterfalse(known.__contains__, names)]
        if len(known) + len(asked) > len(names):
            for name in known.keys() - {*names}:
                del known[name]
        passing: dict[str, T] = {}
        before = self._problems.noted
        for name in asked:
            try:  # as `attempt`: a call less for each of many
                value = read(name)
            except Exception as error:  # noqa: BLE001 - what nobody has foreseen
                self._failed((*store, name), error)
                value = instead(name)
            noted = self._problems.noted
            (known if noted == before else passing)[name] = value
            before = noted
        if not passing:  # nearly always
            return dict(zip(names, map(known.__getitem__, names), strict=True))
        return {name: passing[name] if name in passing else known[name] for name in names}

    def lasting(self, kind: str, entry: Tree, make: Callable[[], T]) -> T:
        """A store for this reading and all later ones, see `Memo.lasting`."""
        return self._memo.lasting(kind, entry, make)

    def attempt(self, tree: Tree, work: Callable[[], T], instead: T) -> T:
        """Return what `work` on one object returns.

        An error inside of the exporter is a problem of that object, and hides no other: then `instead` is returned.
        """
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            self._failed(tree, error)
        return instead

    def _failed(self, tree: Tree, error: Exception) -> None:
        if isinstance(error, UnreadableError):
            self.problem(error.reason, tree, error.detail)
        elif isinstance(error, OSError):
            self.problem(reason_of(error), tree, error.strerror or "")
        else:
            self.problem(Reason.INTERNAL, tree, FAULT_LOG.note(error, "/".join(tree) or "."))

    @property
    def noted(self) -> int:
        """How much was noted that is not known, see `Problems.noted`."""
        return self._problems.noted

    def wait(self) -> None:
        """Give an engine that is changing something a moment, and list all directories again from now on."""
        wait_for_writer()
        self.root.forget_listings()

    def is_directory(self, tree: Tree) -> bool:
        """Say whether a real directory stands there; a mount point is one, and is not touched."""
        self.looked_at += 1
        return tree in self.root.mounts or self.root.is_directory(tree)

    def modes(self, tree: Tree, names: Collection[str]) -> list[int] | None:
        """The st_mode of entries of a directory, see `DataRoot.modes`; None where each is to be looked at by itself."""
        if self.root.mounts:
            return None
        try:
            found = self.root.modes(tree, names)
        except OSError:
            return None
        self.looked_at += len(names)
        return found

    def directories(self, tree: Tree, names: Collection[str], times: dict[str, float] | None = None) -> Collection[str]:
        """Those of many entries that are real directories; the rest is to be looked at.

        `times`: gets when each of these changed last.
        """
        found: Collection[str] = ()
        if names and times is None and len(names) > len(self.root.names(tree)) // _MOST_OF:
            found = self.root.listed_directories(tree, names)
        elif names:
            changed = found = self.root.directories(tree, names)
            if times is not None:
                times.update(changed)
        self.looked_at += len(found)
        return found

    def holders(
        self, tree: Tree, names: Collection[str], inner: str, file: str = "", *, without: str = ""
    ) -> dict[str, bytes | None]:
        """Those of many entries that have a directory in them, see `DataRoot.holders`; the rest is to be looked at."""
        found = self.root.holders(tree, names, inner, file, without=without) if names else {}
        self.looked_at += (1 + bool(file) + bool(without)) * len(found)
        return found

    def problem(self, reason: Reason, tree: Tree, detail: str = "", *, harmless: bool = False) -> None:
        """Count one problem under this reader's collector.

        What lies there is not known then, unless the problem is `harmless`: the engine ignores what is there, too.
        What vanished meanwhile is no object any more. A symbolic link on the way is the problem, once for all below it.
        """
        link = self._link_above(tree) if reason is Reason.NOT_REGULAR else None
        if link is not None:
            if link in self.links:
                self._problems.repeated += 1
                return
            self.links[link] = self.root.link(link) or ""
            tree, detail = link, f"a link to {self.links[link]}, which is not followed"
        self._problems.add(self._collector, reason, tree, detail)
        if not harmless and reason is not Reason.VANISHED:
            self._unread(None, tree, detail or reason, damaged=reason is Reason.DECODE)

    def is_link(self, tree: Tree, *, harmless: bool = False) -> bool:
        """Say whether a symbolic link stands there, which is a problem, see `problem`."""
        if self.root.link(tree) is None:
            return False
        self.problem(Reason.NOT_REGULAR, tree, harmless=harmless)
        return True

    def _link_above(self, tree: Tree) -> Tree | None:
        """The first symbolic link on the way to a path, itself included."""
        ways = (tree[:end] for end in range(1, len(tree) + 1))
        return next((way for way in ways if way in self.links or self.root.link(way) is not None), None)

    def gap(  # noqa: PLR0913 - a gap has that many sides
        self, source: Input, tree: Tree, why: str, *, driver: str = "", object_id: str = "", damaged: bool = False
    ) -> None:
        """Note something that is not known and is no problem with a file: `why` is a clause for people.

        `damaged`: it is known that an engine cannot use it, either.
        """
        self._unread(source, tree, why, driver, object_id, damaged=damaged)

    def expect(self, tree: Tree, *, damaged: bool = False) -> None:
        """Note a gap where a file is missing that an engine always writes. `damaged`: it cannot do without, either."""
        if not self.exists(tree):
            self._unread(None, tree, MISSING, damaged=damaged)

    def exists(self, tree: Tree) -> bool:
        """Whether there is anything by this name; also where that cannot be told, which whoever reads it counts."""
        try:
            self.root.lstat(tree)
        except FileNotFoundError:
            return False
        except OSError:
            pass
        return True

    def is_empty(self, tree: Tree) -> bool:
        """Whether a file is there and has no bytes."""
        try:
            status = self.root.lstat(tree)
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and not status.st_size

    def _unread(  # noqa: PLR0913 - a gap has that many sides
        self,
        source: Input | None,
        tree: Tree,
        why: str,
        driver: str = "",
        object_id: str = "",
        *,
        damaged: bool = False,
    ) -> None:
        self._problems.unread.append(Unread(source, self._collector, tree, why, driver, object_id, damaged))

    def names(self, tree: Tree, *, required: bool = False) -> list[str]:
        """List a directory; a missing one is empty, and so is, as a problem, one that cannot be read.

        `required`: every engine that has written to such a root has made it. Where it is missing, its content is not
        known.
        """
        return self.listing(tree, required=required) or []

    def listing(self, tree: Tree, *, required: bool = False) -> Names | None:
        """List a directory; None, as a problem, where it cannot be read. See `names`."""
        try:
            return self.root.names(tree)
        except FileNotFoundError:
            if required:
                self._unread(None, tree, MISSING)
        except OSError as error:
            self.unlisted = True
            self.problem(reason_of(error), tree, error.strerror or "")
            return None
        return Names()

    def has(self, tree: Tree) -> bool:
        """Whether a directory has such an entry, of any kind. One that cannot be read has none, which is a problem."""
        self.looked_at += 1
        try:
            self.root.lstat(tree)
        except FileNotFoundError:
            return False
        except OSError:
            return tree[-1] in self.names(tree[:-1])
        return True

    def objects(  # noqa: PLR0913 - which of them, and how they are looked at
        self,
        tree: Tree,
        accept: Callable[[str], bool],
        ignored: tuple[str, ...] = (),
        *,
        required: bool = False,
        links: bool = False,
        times: dict[str, float] | None = None,
    ) -> list[str]:
        """List the directories in a directory of objects whose names `accept` takes; the rest are problems.

        Nobody may change the list. Of one without a change, nothing is asked again but what is no object.

        `links`: symbolic links are objects as well. The caller must ask for each whether it is one.
        `times`: gets when each directory changed last that was looked at.
        """
        names = self.names(tree, required=required)
        known: StoreEntries[bool] = self.entries("object", tree)
        last = self.derived("objects", tree, _Objects)
        changed = known.come_to(names)
        if changed is None or not last.whole:
            last.found, last.odd, changed = [], [], {*names}
            asked = [*names]
        else:
            asked = sorted(name for name in changed.union(last.odd) if name in names)
        last.whole = False  # where this fails, all are looked at the next time
        usual = self.directories(tree, [name for name in asked if name not in ignored and accept(name)], times)
        known.update(dict.fromkeys(usual, True))
        look = partial(self._is_object, links=links, times=times)
        come = [name for name in asked if self._is_wanted(tree, name, known, accept, ignored, look)]
        good = [name for name in come if name in known]
        if changed or good:
            left = [name for name in last.found if name not in changed]
            last.found = in_order(left, good)
        last.odd, last.whole = [name for name in asked if name not in known], True
        passing = [name for name in come if name not in known]
        return in_order([*last.found], passing) if passing else last.found

    def _is_wanted(  # noqa: PLR0913 - as `objects`
        self,
        tree: Tree,
        name: str,
        known: dict[str, bool],
        accept: Callable[[str], bool],
        ignored: tuple[str, ...],
        look: Callable[[Tree], bool],
    ) -> bool:
        if name in known:
            return True
        if name in ignored:
            return False
        if not accept(name):
            self.problem(Reason.DECODE, (*tree, name), "not the name of an object", harmless=True)
            return False
        return self._holds_object((*tree, name), known, look)

    def _holds_object(self, tree: Tree, known: dict[str, bool], look: Callable[[Tree], bool]) -> bool:
        before = self._problems.noted
        is_object = self.attempt(tree, partial(look, tree), instead=True)
        if is_object and self._problems.noted == before:
            known[tree[-1]] = True
        return is_object

    def _is_object(self, tree: Tree, *, links: bool, times: dict[str, float] | None) -> bool:
        self.looked_at += 1
        if tree in self.root.mounts:
            return True
        try:
            status = self.root.lstat(tree)
        except OSError as error:  # most often an object that was removed since the listing
            self.problem(reason_of(error), tree, error.strerror or "")
            return False
        if times is not None and stat.S_ISDIR(status.st_mode):
            times[tree[-1]] = status.st_mtime
        if stat.S_ISDIR(status.st_mode) or (links and stat.S_ISLNK(status.st_mode)):
            return True
        # An engine follows a link, and ignores other files. One in the place of an object is damage.
        harmless = not (stat.S_ISLNK(status.st_mode) or is_id(tree[-1]))
        self.problem(Reason.NOT_REGULAR, tree, "not a directory", harmless=harmless)
        return False

    def bytes(self, tree: Tree, *, optional: bool = False) -> bytes | None:
        """Read one file; None when that fails. A file that is missing is a problem unless `optional`."""
        self.looked_at += 1
        try:
            return self.root.read(tree)
        except FileNotFoundError:
            if not optional:
                gone = not self.root.is_directory(tree[:-1])
                self.problem(Reason.VANISHED if gone else Reason.DECODE, tree, "missing")
        except UnreadableError as error:
            self.problem(error.reason, tree, error.detail)
        except OSError as error:
            self.problem(reason_of(error), tree, error.strerror or "")
        return None

    def json(self, tree: Tree, *, optional: bool = False) -> Json | None:
        """Read one JSON object; None when that fails.

        Old Dockers rewrite files in place: one that does not parse and was written just now is read again.
        """
        raw = self.bytes(tree, optional=optional)
        if raw is None:
            return None
        decoded = decode(raw)
        if decoded is None and self._fresh(tree):
            wait_for_writer()
            decoded = decode(self.bytes(tree, optional=optional) or b"")
        if decoded is None:
            self.problem(Reason.DECODE, tree, "not a JSON object")
        return decoded

    def line(self, tree: Tree) -> str:
        """Read a file with one word; "" if it is missing or has other content."""
        raw = (self.bytes(tree, optional=True) or b"").strip()
        word = raw.decode("ascii", "replace") if len(raw) <= _LONGEST_LINE else ""
        return word if word.isprintable() and not any(map(str.isspace, word)) else ""

    def database(self, tree: Tree, bucket: str, convert: Callable[[Bucket], T]) -> T | None:
        """Convert one bucket of a bolt database, read again whenever it was written to; None where that fails.

        A database that is not there has an empty bucket, and so has a file of 0 bytes: the engine makes a new database
        in it when it starts (etcd-io/bbolt v1.3 db.go, Open). Of one that is written to each time that it is read, the
        last reading counts for a minute.
        """
        try:
            status = self.root.lstat(tree)
        except FileNotFoundError:
            return convert(Bucket())
        except OSError as error:
            self.problem(reason_of(error), tree, error.strerror or "")
            return None
        if stat.S_ISREG(status.st_mode) and not status.st_size:
            return convert(Bucket())
        version = f"database {status.st_ino} {status.st_size} {status.st_mtime_ns}"
        # The clock of st_mtime has steps of some milliseconds: the next write may leave it as it is.
        settled = abs(time.time() - status.st_mtime) > _TORN_AGE_SECONDS
        return self.once(
            version, tree, lambda: self._database(tree, bucket, convert), lasts=lambda _: settled, instead=None
        )

    def _database(self, tree: Tree, bucket: str, convert: Callable[[Bucket], T]) -> T | None:
        self.looked_at += 1
        before = self._problems.noted
        found: T | None = None
        try:
            found = read_database(self.root, self._memo, tree, bucket, convert)
        except BoltError as error:
            self.problem(error.reason, tree, str(error))
        except UnreadableError as error:
            self.problem(error.reason, tree, error.detail)
        except OSError as error:
            self.problem(reason_of(error), tree, error.strerror or "")
        if self._problems.noted != before:  # they are to be noted again
            forget_database(self._memo, tree)
        return found

    def _fresh(self, tree: Tree) -> bool:
        try:
            return abs(time.time() - self.root.lstat(tree).st_mtime) < _TORN_AGE_SECONDS
        except OSError:
            return False
