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
_PICTURE = _HERE.parent.parent / "docs/images/dashboard.png"
_VARIABLES = {"$job": "docker-storage", "$top": "5", "$__rate_interval": "30s"}
_SPAN_SECONDS = 240
_ROW = 30


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
    """Ask every query of the dashboard, bundle the page with the answers, and take its picture."""
    dashboard = json.loads((_HERE.parent / "docker-storage.json").read_text())
    now = time.time()
    number = 0
    answers = {}
    for panel in dashboard["panels"]:
        panel["id"] = number = number + 1
        for target in panel.get("targets", ()):
            answers[f"{number}{target['refId']}"] = _ask(prometheus, host, target, now)
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        data = json.dumps({"dashboard": dashboard, "answers": answers, "range": [now - _SPAN_SECONDS, now]})
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
        height = max((one["gridPos"]["y"] + one["gridPos"]["h"]) * _ROW for one in dashboard["panels"]) + 80
        browser = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size=1632,{height}"]
        browser += ["--virtual-time-budget=15000", f"--user-data-dir={made}/profile", f"--screenshot={_PICTURE}"]
        subprocess.run([*browser, page.as_uri()], check=True, timeout=120, capture_output=True)


if __name__ == "__main__":
    draw(*sys.argv[1:])
