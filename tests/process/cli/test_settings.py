from pathlib import Path

from tests.support.command import run
from tests.support.product import Samples
from tests.support.roots import graph_root


def test_flag_before_environment_before_file_before_default(tmp_path: Path) -> None:
    roots = [graph_root(tmp_path / name).image("app", size=size) for size, name in enumerate(("f", "e", "c"), 1)]
    file = tmp_path / "settings.yml"
    file.write_text(f"root: {roots[2].path}\nscan.interval: 5\n")

    def size(*flags: str, **environment: str) -> float:
        done = run("once", *flags, "--config.file", str(file), **environment)
        assert done.returncode == 0, done.stderr
        return Samples(done.stdout)("image_virtual_size_bytes")

    assert size() == 3
    assert size(DOCKER_STORAGE_EXPORTER_ROOT=str(roots[1].path)) == 2
    assert size("--root", str(roots[0].path), DOCKER_STORAGE_EXPORTER_ROOT=str(roots[1].path)) == 1
    assert run("once", DOCKER_STORAGE_EXPORTER_CONFIG_FILE=str(file)).stdout.count("image_virtual_size_bytes{") == 1
