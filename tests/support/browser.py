"""A real Chromium, spoken to over a pipe (--remote-debugging-pipe): pages as they are drawn and as they are read aloud.

The Chrome DevTools Protocol: each message is JSON with a NUL behind it; commands have an id, and so has the answer.
"""

import base64
import contextlib
import json
import os
import select
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.waiting import DEADLINE

_READ, _WRITE = 3, 4


@dataclass
class Browser:
    """One tab of a browser."""

    process: subprocess.Popen[bytes]
    reading: int
    writing: int
    session: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    _rest: bytes = b""
    _number: int = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                found: dict[str, Any] = answer["result"]
                return found
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self.reading], [], [], DEADLINE)[0], "the browser does not answer"
            piece = os.read(self.reading, 1 << 20)
            assert piece, "the browser has ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def open(self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Go to a page, and wait until it is loaded."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.events.clear()
        self.call("Page.navigate", url=address)
        while True:
            while not any(one.get("method") == "Page.loadEventFired" for one in self.events):
                self.events.append(self._next())
            self.events.clear()
            # The event of the empty tab may come late.
            if self.run("location.href != 'about:blank' && document.readyState === 'complete'"):
                return

    def run(self, script: str) -> Any:
        """What a script says of the page; it is ours, and not the page's."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def picture(self, file: Path) -> None:
        """Draw the whole page."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))

    def tree(self) -> list[dict[str, Any]]:
        """What a screen reader is told: nodes with role, name and properties, in the order of the page."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        by_id = {one["nodeId"]: one for one in nodes}
        ordered: list[dict[str, Any]] = []

        def walk(node: dict[str, Any], depth: int) -> None:
            if not node.get("ignored"):
                ordered.append(_plain(node, depth))
                depth += 1
            for child in node.get("childIds", ()):
                if child in by_id:
                    walk(by_id[child], depth)

        walk(nodes[0], 0)
        return ordered


def _plain(node: dict[str, Any], depth: int) -> dict[str, Any]:
    properties = {one["name"]: one["value"].get("value") for one in node.get("properties", ())}
    name = node.get("name", {}).get("value", "")
    return {"role": node["role"]["value"], "name": name, "depth": depth, **properties}


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Run a browser for the length of a `with` block."""
    for_it, to_us = os.pipe(), os.pipe()
    command = [
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"),
        *(f"--user-data-dir={profile}", "--no-first-run", "--disable-extensions", "about:blank"),
    ]
    script = f'exec {_READ}<&"$1" {_WRITE}>&"$2"; shift 2; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", str(for_it[0]), str(to_us[1]), *command],
        pass_fds=(for_it[0], to_us[1]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(for_it[0])
    os.close(to_us[1])
    found = Browser(process, to_us[0], for_it[1])
    try:
        target = found.call("Target.createTarget", url="about:blank")["targetId"]
        found.session = found.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Accessibility"):
            found.call(f"{domain}.enable")
        yield found
        found.session = ""
        found.call("Browser.close")
    finally:
        os.close(for_it[1])
        os.close(to_us[0])
        try:
            process.wait(DEADLINE)
        finally:
            process.kill()
            process.wait()
