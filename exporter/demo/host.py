"""The example host of 2015: mysql and mediawiki, 37 layers, volumes and a bind mount, as Docker 1.5 kept them."""

import hashlib
import json
import sqlite3
from pathlib import Path

from exporter.demo.place import require_empty
from exporter.demo.writer import GraphWriter, State

_ROOT_LAYER = "511136ea3c5a64f264b78b5433614aec563103b4d4702f3ba7d4d2698e22c158"
_MYSQL = "c171a2256c3b9d13c77b2b3773eaaad95a9b4a8735613ce46722f79fa29fa366"
_MEDIAWIKI = "d32d732341b07cfc87006d09ea75514d8c10774dfbc83c74034ac28b1491557b"

#: Each chain after the common root: (id, virtual size in bytes as `docker images -tree` drew it).
_MYSQL_CHAIN = (
    ("36669626e49c", 84_980_000),
    ("d5570ef1464a", 84_980_000),
    ("170ff2cfa64a", 85_300_000),
    ("ef7c16d26957", 116_700_000),
    ("3749ee37c2a6", 116_800_000),
    ("5431d6b9bc80", 116_800_000),
    ("0dc7d8240120", 116_800_000),
    ("a37379b8d1ce", 116_800_000),
    ("cad6baf3ee5b", 322_800_000),
    ("facdf8305638", 322_800_000),
    ("a10cdfaf13cf", 322_800_000),
    ("444b88bd8367", 322_800_000),
    ("83dfd5776ff8", 322_800_000),
    ("7d0b9c0b29d2", 322_800_000),
    (_MYSQL, 322_800_000),
)
_MEDIAWIKI_CHAIN = (
    ("8dbd9e392a96", 128_000_000),
    ("be647841828f", 128_000_000),
    ("7f06ad8f23b1", 272_500_000),
    ("9fc1b767f7ff", 383_100_000),
    ("46af893ffb5f", 439_200_000),
    ("00a79ad7ea4a", 439_200_000),
    ("69f7b013792e", 439_200_000),
    ("854a5bd5be72", 439_200_000),
    ("c219ca4d0d53", 439_200_000),
    ("42c69a7e8ad3", 439_200_000),
    ("09652ed5f7ef", 459_600_000),
    ("814a97e8dc1c", 539_600_000),
    ("a7bc400b42c2", 539_600_000),
    ("68013db1eb6d", 619_500_000),
    ("ca839611a34f", 619_500_000),
    ("63e9d31943ea", 619_500_000),
    ("1b95e1c4efd9", 619_500_000),
    ("9df1e07fdf78", 619_500_000),
    ("3e8e8966dcfb", 619_500_000),
    ("3e0c3340e16e", 619_500_000),
    (_MEDIAWIKI, 619_500_000),
)
_MEGABYTE = 1_000_000
#: The base image of the builds.
APPLICATION = _MEDIAWIKI


def build_demo(directory: Path) -> GraphWriter:
    """Build the example root in a directory that is new or empty; raises FileExistsError otherwise, or OSError.

    Returns the writer, for further changes.
    """
    require_empty(directory)
    writer = GraphWriter(directory, "aufs", version="1.5.0")
    writer.image(_ROOT_LAYER, layersize=0)
    _chain(writer, _MYSQL_CHAIN)
    _chain(writer, _MEDIAWIKI_CHAIN)
    writer.tag("mysql", "5.7.5", _MYSQL)
    writer.tag("nickstenning/mediawiki", "latest", _MEDIAWIKI)
    containers = _containers(writer)
    _rest(writer, containers)
    return writer


def full_id(prefix: str) -> str:
    """Lengthen a short id to 64 digits, always the same."""
    return prefix + hashlib.sha256(prefix.encode()).hexdigest()[: 64 - len(prefix)]


_MYSQL_SERVER, _WIKI, _DUMP, _OLD_WIKI = map(full_id, ("a1f0c6a2be11", "b27d3c9e8812", "c3aa41e07713", "d4be52f16614"))
#: The container whose log grows in `--busy`.
LOUD = _WIKI


def _chain(writer: GraphWriter, chain: tuple[tuple[str, int], ...]) -> None:
    parent, below = _ROOT_LAYER, 0
    for prefix, virtual in chain:
        layer = full_id(prefix)
        size = virtual - below
        files = {f"usr/share/{prefix[:6]}/data": size - size // 3, f"var/lib/{prefix[:6]}.cache": size // 3}
        writer.image(layer, parent, files=files if size else None, layersize=size)
        parent, below = layer, virtual


def _containers(writer: GraphWriter) -> dict[str, str]:
    """Write the containers and their volumes; return their names by id."""
    data = writer.volume(full_id("e5c07f3a1b15"), {"ibdata1": 79 * _MEGABYTE, "ib_logfile0": 50 * _MEGABYTE})
    backup = writer.volume(full_id("f6d1804b2c16"), {"wiki-2015-01-31.sql.gz": 74 * _MEGABYTE})
    writer.bind_entry(full_id("07e2915c3d17"), "/srv/mediawiki/images")
    _running_containers(writer, data)
    _stopped_containers(writer, data, backup)
    return {_MYSQL_SERVER: "mysql", _WIKI: "mediawiki", _DUMP: "nightly-dump", _OLD_WIKI: "mediawiki-before-upgrade"}


def _running_containers(writer: GraphWriter, data: str) -> None:
    started = "2015-02-01T08:00:00.5Z"
    writer.container(
        _MYSQL_SERVER,
        _MYSQL,
        name="mysql",
        image_name="mysql:5.7.5",
        state=State(running=True, pid=2177, started=started),
        writable={"run/mysqld/mysqld.pid": b"1\n", "tmp/sort.tmp": 12 * _MEGABYTE},
        log=31 * _MEGABYTE,
        volumes={"/var/lib/mysql": data},
    )
    writer.container(
        _WIKI,
        _MEDIAWIKI,
        name="mediawiki",
        image_name="nickstenning/mediawiki",
        state=State(running=True, pid=2301, started=started),
        writable={"var/log/nginx/access.log": 96 * _MEGABYTE, "etc/.wh.motd": b""},
        log=8 * _MEGABYTE,
        volumes={"/data/images": "/srv/mediawiki/images"},
        binds=["/srv/mediawiki/images:/data/images"],
    )


def _stopped_containers(writer: GraphWriter, data: str, backup: str) -> None:
    writer.container(
        _DUMP,
        _MYSQL,
        name="nightly-dump",
        image_name="mysql:5.7.5",
        writable={"root/dump.sql": 420 * _MEGABYTE},
        log=b'{"log":"done\\n","stream":"stdout","time":"2015-01-31T02:11:00Z"}\n',
        volumes={"/var/lib/mysql": data, "/backup": backup},
        read_only=["/var/lib/mysql"],
    )
    writer.container(
        _OLD_WIKI,
        _MEDIAWIKI,
        name="mediawiki-before-upgrade",
        image_name="nickstenning/mediawiki",
        state=State(exit_code=137),
        writable={"usr/src/mediawiki/cache/l10n.db": 330 * _MEGABYTE},
    )


def _rest(writer: GraphWriter, containers: dict[str, str]) -> None:
    """Write the other top-level entries of such a root."""
    writer.file("init/dockerinit-1.5.0", 6_918_392)
    writer.file("tmp/docker-import-112233445", 240 * _MEGABYTE)
    writer.file("trust/official.json", b'{"grants":{}}')
    for container in list(containers)[:2]:
        writer.file(f"execdriver/native/{container}/state.json", json.dumps({"init_pid": 2177}).encode())
    with sqlite3.connect(writer.root / "linkgraph.db") as database:
        database.execute("CREATE TABLE entity (id text NOT NULL PRIMARY KEY)")
        database.execute("CREATE TABLE edge (entity_id text NOT NULL, parent_id text NULL, name text NOT NULL)")
        database.execute("INSERT INTO entity VALUES ('0')")
        for container, name in containers.items():
            database.execute("INSERT INTO entity VALUES (?)", (container,))
            database.execute("INSERT INTO edge VALUES (?, '0', ?)", (container, name))
    database.close()
