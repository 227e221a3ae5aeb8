"""A scrape has the figures of one snapshot, also when another one comes meanwhile."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from exporter.core.gzip_body import GzipBody
from exporter.core.model import Filesystem
from exporter.expose.published import Body, Publication
from exporter.service.current import Current
from tests.support.waiting import DEADLINE


def _published(name: bytes, path: str) -> Publication:
    body = Body(1, GzipBody.of([name]), GzipBody.of([]), filesystems=(Filesystem(path, "/dev/vda", "/", "ext4"),))
    return Publication(name, b"", 1.0, body)


def test_what_comes_while_a_filesystem_is_asked_is_served_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, goes_on, statvfs = threading.Event(), threading.Event(), os.statvfs

    def answer(path: str) -> os.statvfs_result:
        asked.set()
        goes_on.wait(DEADLINE)
        return statvfs(path)

    monkeypatch.setattr(os, "statvfs", answer)
    monkeypatch.setattr("exporter.service.statvfs._STATVFS_SECONDS", DEADLINE)

    async def scrape() -> tuple[Body, bytes]:
        current = Current("/root", own_processes=False)
        current.replace(_published(b"first\n", str(tmp_path)))
        scraped = asyncio.ensure_future(current.live("text"))
        await asyncio.to_thread(asked.wait, DEADLINE)
        current.replace(_published(b"second\n", str(tmp_path)))
        goes_on.set()
        return await scraped

    body, end = asyncio.run(scrape())
    assert end.startswith(b"second\n")
    assert b"".join(body.text.plain(b"")) == b"second\n"
