import re
import subprocess
import zlib
from pathlib import Path

from tests.support.evil import evil_root
from tests.support.exporter import exporter
from tests.support.product import needs
from tests.support.waiting import DEADLINE


def _first_pixel(picture: bytes) -> tuple[int, ...]:
    """The upper left pixel of a PNG: no filter changes it, for there is nothing before it."""
    at, packed = 8, b""
    while at < len(picture):
        length = int.from_bytes(picture[at : at + 4], "big")
        if picture[at + 4 : at + 8] == b"IDAT":
            packed += picture[at + 8 : at + 8 + length]
        at += 12 + length
    return tuple(zlib.decompress(packed)[1:4])


@needs("chromium")
def test_chromium_shows_it_light_and_dark_and_runs_nothing(tmp_path: Path) -> None:
    evil = evil_root(tmp_path)
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    pixels = []
    with exporter(evil.path) as running:
        running.wait_for("up", 1)
        running.until(lambda figures: bool(figures.all("scan_success")))
        address = f"http://127.0.0.1:{running.port}/status"
        for scheme in ("0", "1"):
            file = tmp_path / f"{scheme}.png"
            options = [f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={file}"]
            subprocess.run([*browser, *options, address], capture_output=True, check=True, timeout=DEADLINE)
            pixels.append(_first_pixel(file.read_bytes()))
        dumped = subprocess.run(
            [*browser, "--dump-dom", address], capture_output=True, text=True, check=True, timeout=DEADLINE
        )
    dark, light = map(sum, pixels)
    assert dark < 150
    assert light > 600
    assert "<title>docker-storage-exporter: status</title>" in dumped.stdout
    assert not re.search("<(script|img)", dumped.stdout)
