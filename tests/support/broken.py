"""200 damaged data roots: none stops a scan, leaves the root, hangs, or hides the sound objects beside it."""

import os
import random
from collections.abc import Callable
from pathlib import Path

from tests.support.roots import GraphRoot, graph_root, hex_id

SECRET = "outside-secret"
_NESTED = 300


def _victims(root: Path) -> list[Path]:
    bad = hex_id("victim")
    files = [root / "graph" / bad / name for name in ("json", "layersize")]
    files += [root / "containers" / hex_id("broken") / name for name in ("config.json", "hostconfig.json")]
    return [file for file in files if file.is_file() and not file.is_symlink() and file.stat().st_size < 1_000_000]


def _truncate(root: Path, dice: random.Random) -> None:
    victim = dice.choice(_victims(root))
    raw = victim.read_bytes()
    victim.write_bytes(raw[: dice.randrange(len(raw) or 1)])


def _binary(root: Path, dice: random.Random) -> None:
    dice.choice(_victims(root)).write_bytes(dice.randbytes(dice.randrange(1, 4000)))


def _huge(root: Path, dice: random.Random) -> None:
    os.truncate(dice.choice(_victims(root)), 1 << 40)


def _deep_json(root: Path, dice: random.Random) -> None:
    dice.choice(_victims(root)).write_text("[" * 100_000 if dice.random() < 0.5 else '{"a":' * 100_000)


def _odd_types(root: Path, dice: random.Random) -> None:
    value = dice.choice(["1", '"x"', "null", "[1]", '{"State": 5, "Created": [], "Name": {}, "MountPoints": 7}'])
    dice.choice(_victims(root)).write_text(value)


def _replace(victim: Path, make: Callable[[Path], None]) -> None:
    victim.unlink()
    make(victim)


def _fifo(root: Path, dice: random.Random) -> None:
    _replace(dice.choice(_victims(root)), os.mkfifo)


def _device(root: Path, dice: random.Random) -> None:
    victim = dice.choice(_victims(root))
    victim.unlink()
    try:
        os.mknod(victim, 0o20666, os.makedev(1, 5))  # as /dev/zero: who reads it never ends
    except PermissionError:
        os.mkfifo(victim)


def _link_out(root: Path, dice: random.Random) -> None:
    outside = root.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "config.json").write_text(f'{{"Name": "/{SECRET}", "ID": "x"}}')
    (outside / "json").write_text(f'{{"docker_version": "{SECRET}"}}')
    (outside / "large").write_bytes(b"x" * 1_000_000)
    victim = dice.choice(_victims(root))
    _replace(victim, lambda path: path.symlink_to(outside / victim.name))
    (root / "containers" / hex_id("linked")).symlink_to(outside)
    (root / "volumes" / hex_id("linked volume")).symlink_to(outside)
    (root / "aufs/diff" / hex_id("linked layer")).symlink_to(outside)


def _link_loop(root: Path, dice: random.Random) -> None:
    victim = dice.choice(_victims(root))
    _replace(victim, lambda path: path.symlink_to(victim.name))
    (root / "aufs/diff" / hex_id("victim") / "self").symlink_to(".")


def _cycle(root: Path, dice: random.Random) -> None:
    ring = [hex_id(f"ring {index}") for index in range(dice.randrange(1, 5))]
    for index, image in enumerate(ring):
        (root / "aufs/diff" / image).mkdir()
        (root / "graph" / image).mkdir()
        (root / "graph" / image / "json").write_text(f'{{"id": "{image}", "parent": "{ring[index - 1]}"}}')
        (root / "graph" / image / "layersize").write_text(str(index))


def _path_ids(root: Path, dice: random.Random) -> None:
    path = dice.choice(["../../outside", "/etc/passwd", "a/b", "", "x" * 5000, "\\u0000", "\\ud800"])
    graph, config = root / "graph" / hex_id("victim") / "json", root / "containers" / hex_id("broken") / "config.json"
    for file in (graph, config):  # in place of what an earlier damage made of it, which may be a FIFO
        file.unlink(missing_ok=True)
    graph.write_text(f'{{"id": "{path}", "parent": "{path}"}}')
    config.write_text(
        f'{{"ID": "{path}", "Image": "{path}", "Name": "/{path}", "Driver": "aufs", "Volumes": {{"{path}": "{path}"}}}}'
    )
    (root / "repositories-aufs").write_text(
        f'{{"Repositories": {{"sound": {{"1": "{hex_id("sound")}"}}, "{path}": {{"{path}": "{path}"}}}}}}'
    )


def _odd_names(root: Path, dice: random.Random) -> None:
    name = bytes(dice.choice([value for value in range(1, 256) if value != 0x2F]) for _ in range(dice.randrange(3, 60)))
    for store in ("graph", "containers", "volumes", "aufs/diff", "."):
        os.makedirs(os.path.join(os.fsencode(root / store), name), exist_ok=True)


def _deep(root: Path, dice: random.Random) -> None:
    at = os.open(root / "aufs/diff" / hex_id("victim"), os.O_RDONLY)
    for _ in range(_NESTED):
        os.mkdir("d" * dice.randrange(1, 200), dir_fd=at)
        below = os.open(os.listdir(at)[0], os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)


def _vanish(root: Path, dice: random.Random) -> None:
    dice.choice(_victims(root)).unlink()
    (root / "aufs/layers" / hex_id("victim")).unlink()


_DAMAGES: list[Callable[[Path, random.Random], None]] = [
    _truncate, _binary, _huge, _deep_json, _odd_types, _fifo, _device, _link_out,
    _link_loop, _cycle, _path_ids, _odd_names, _deep, _vanish,
]  # fmt: skip


def broken_root(tmp_path: Path, seed: int) -> GraphRoot:
    """A root with sound objects, and a victim that is damaged as the seed says."""
    dice = random.Random(seed)
    built = (
        graph_root(tmp_path / "docker")
        .image("base", size=100, files={"a": 100})
        .image("sound", parent="base", size=11, files={"b": 11}, tag="sound:1")
        .image("victim", parent="base", size=5)
        .container("healthy", image="sound", writable={"w": 7}, log=b"12345")
        .container("broken", image="sound")
    )
    built.writer.volume(hex_id("data"), {"v": 13})
    damages = [_DAMAGES[seed % len(_DAMAGES)], *dice.sample(_DAMAGES, dice.randrange(3))]
    for damage in damages:
        try:
            damage(built.path, dice)
        except (OSError, IndexError):
            continue  # an earlier damage took what this one wanted
    return built
