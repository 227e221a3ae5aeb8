"""Draws the host dashboard: `python -m grafana.preview http://127.0.0.1:9590 HOST`, with node and Chromium."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_IMAGES = _HERE.parent.parent / "docs/images"
_VARIABLES = {"$job": "docker-storage", "$cluster": ".*", "$top": "5", "$__rate_interval": "30s"}
_SPAN_SECONDS = 240
_ROW = 30
#: The picture of the first screen is narrow, so that it can be read where a page shows it at 800 pixels.
_NARROW, _WIDE = 1060, 1600
_FIRST_ROWS = 24


def _ask(prometheus: str, host: str, target: dict[str, Any], now: float) -> Any:
    expression = target["expr"].replace("$instance", host)
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    asked: dict[str, object] = {"query": expression}
    path = "query"
    if not target.get("instant"):
        path = "query_range"
        asked |= {"start": now - _SPAN_SECONDS, "end": now, "step": 4}
    with urllib.request.urlopen(f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(asked)}", timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def draw(prometheus: str, host: str) -> None:
    """Ask every query of the dashboard, and take a picture of the first screen and one of all rows."""
    dashboard = json.loads((_HERE.parent / "docker-storage.json").read_text())
    dashboard["panels"] = _opened(dashboard["panels"])
    now = time.time()
    answers = {}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            answers[f"{panel['id']}{target['refId']}"] = _ask(prometheus, host, target, now)
    shown = {"dashboard": dashboard, "answers": answers, "range": [now - _SPAN_SECONDS, now]}
    _take(shown, _WIDE, "dashboard-whole.png")
    first = [one for one in dashboard["panels"] if one["gridPos"]["y"] + one["gridPos"]["h"] <= _FIRST_ROWS]
    _take({**shown, "dashboard": {**dashboard, "panels": first}}, _NARROW, "dashboard.png")


def _opened(panels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The panels with all rows open, each row below the one before."""
    rows: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    for one in panels:
        if one["type"] == "row":
            rows.append((one, one.pop("panels", None) or []))
        else:
            rows[-1][1].append(one)
    made: list[dict[str, Any]] = []
    end = 0
    for row, inside in rows:
        row["gridPos"]["y"] = end
        shift = end + 1 - min(one["gridPos"]["y"] for one in inside)
        for one in inside:
            one["gridPos"]["y"] += shift
        made += [row, *inside]
        end = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in inside)
    return made


def _take(shown: dict[str, Any], width: int, picture: str) -> None:
    """Bundle the page with the answers, and take its picture."""
    panels = shown["dashboard"]["panels"]
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        data = json.dumps({**shown, "width": width})
        data = data.replace("</", "<\\/")
        bundle = [str(_HERE / "node_modules/.bin/esbuild"), str(_HERE / "page.jsx"), "--bundle", "--minify"]
        bundle += ["--jsx=transform", "--loader:.svg=dataurl", "--loader:.ttf=empty", "--log-level=error"]
        bundle += ['--define:process.env.NODE_ENV="production"', "--define:global=window", f"--outfile={made}/page.js"]
        subprocess.run(bundle, check=True)
        page = made / "page.html"
        page.write_text(
            '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="page.css">'
            '<style>body{margin:0}</style><div id="root"></div>'
            f"<script>window.PREVIEW={data}</script>"
            '<script src="page.js"></script>'
        )
        height = max((one["gridPos"]["y"] + one["gridPos"]["h"]) * _ROW for one in panels) + 80
        browser = [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            f"--window-size={width + 32},{height}",
        ]
        browser += [
            "--virtual-time-budget=15000",
            f"--user-data-dir={made}/profile",
            f"--screenshot={_IMAGES / picture}",
        ]
        subprocess.run([*browser, page.as_uri()], check=True, timeout=120, capture_output=True)


if __name__ == "__main__":
    draw(*sys.argv[1:])
