import re
import tomllib

import pytest

from exporter.rules import Settings, rules
from exporter.web.pages.markdown import html_of
from exporter.web.pages.runbooks import Runbooks, load
from tests.support.paths import TOP

_ALERTS = sorted(set(re.findall(r"alert: (\w+)", rules(Settings()))))


@pytest.mark.parametrize("name", _ALERTS)
@pytest.mark.parametrize("suffix", ["", ".md"])
def test_the_runbook_of_each_alert_is_a_page(name: str, suffix: str) -> None:
    runbooks = Runbooks(load())
    path = f"/runbooks/{name}{suffix}"
    assert runbooks.has(path)
    made = runbooks.page(path).decode()
    assert f"<h1>{name}</h1>" in made
    headings = re.findall(r"<h2>(.*?)</h2>", made)
    assert headings == ["Meaning", "Impact", "Find the cause", "What to do", "How to prevent it"]
    rest = re.sub(r"<pre>.*?</pre>|<code>.*?</code>", "", made.split("<main")[1], flags=re.DOTALL)
    assert not re.search(r"```|`|\]\(|^\s*- |^\|", rest, re.MULTILINE), "Markdown is left over"


def test_there_is_a_list_of_all_and_nothing_else() -> None:
    runbooks = Runbooks(load())
    for path in ("/runbooks", "/runbooks/"):
        assert all(f'<a href="/runbooks/{name}">' in runbooks.page(path).decode() for name in _ALERTS)
    for path in (
        "/runbooks/DockerStorage",
        "/runbooks/../status",
        "/runbooks/../../README.md",
        "/runbooksX",
        "/runbook",
    ):
        assert not runbooks.has(path)
    assert "not installed" in Runbooks({}).page("/runbooks").decode()


def test_they_are_part_of_what_is_installed() -> None:
    built = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert built["force-include"] == {"docs/runbooks": "exporter/web/pages/runbooks"}
    assert not (TOP / "exporter/web/pages/runbooks").exists(), "the source is docs/runbooks"
    assert "COPY docs/runbooks docs/runbooks" in (TOP / "Dockerfile").read_text()


def _html(text: str) -> str:
    return html_of(text.split("\n"), {"DockerStorageNotKnown": "/runbooks/DockerStorageNotKnown"}.get)


def test_blocks_of_markdown() -> None:
    assert _html("One\nline.\n\nTwo.") == "<p>One line.</p><p>Two.</p>"
    assert _html("- a\n- b\n  c") == "<ul><li>a</li><li>b c</li></ul>"
    assert (
        _html("1. a\n   ```sh\n   x\n    y\n   ```\n2. b")
        == "<ol><li>a<pre><code>x\n y</code></pre></li><li>b</li></ol>"
    )
    table = _html("| a | b |\n|---|---|\n| `c` | d |")
    assert '<th scope="col">a</th>' in table
    assert '<th scope="row"><code>c</code></th><td>d</td>' in table
    assert "<caption>a, b</caption>" in table


def test_everything_is_escaped_and_only_known_links_are_made() -> None:
    assert _html("<b> & `<i>`") == "<p>&lt;b&gt; &amp; <code>&lt;i&gt;</code></p>"
    assert _html("see DockerStorageNotKnown, *Bars*") == (
        '<p>see <a href="/runbooks/DockerStorageNotKnown">DockerStorageNotKnown</a>, <em>Bars</em></p>'
    )
    assert _html("[there](../operations.md#x) DockerStorageOther") == "<p>there DockerStorageOther</p>"
    assert _html("[x](javascript:alert)") == "<p>x</p>"
