"""Names that are HTML, for whatever shows what it found on a disk."""

from pathlib import Path

from tests.support.roots import GraphRoot, graph_root, hex_id

EVIL = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"


def evil_root(directory: Path) -> GraphRoot:
    """A root whose names, and a damaged file, try to get into a page as HTML."""
    built = graph_root(directory).image("app", size=7)
    built.writer.tag(EVIL, "1", hex_id("app"))
    built.container(EVIL, image="app", image_name=EVIL, writable={"w": 3}, volumes={EVIL: "/srv/" + EVIL})
    (built.path / "\u202e<b>.txt").write_text("x")
    (built.path / "graph" / hex_id("broken")).mkdir()
    (built.path / "graph" / hex_id("broken") / "json").write_text("{")
    return built
