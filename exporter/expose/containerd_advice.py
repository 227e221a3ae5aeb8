"""What is said of the root of a containerd that is not read, and what to do."""

from collections.abc import Iterable

from exporter.core.model import RemarkKind
from exporter.core.shell import quote
from exporter.expose.snapshot_api.rows import RemarkRow

_FLAG = "--containerd.root"


def containerd_advice(remarks: Iterable[RemarkRow]) -> list[str]:
    """A sentence or two for each such directory. Names are escaped, commands are quoted."""
    return [_said(one) for one in remarks if one.kind == RemarkKind.CONTAINERD]


def _said(remark: RemarkRow) -> str:
    if not remark.path:
        return (
            f"The images of this root are in a containerd of the host, and its root is not known: {remark.target}. "
            f"Pass {_FLAG} DIRECTORY; in a container, mount that directory as well."
        )
    said = f"{remark.path} is not read as the root of the containerd that has the images: {remark.target}."
    return f"{said} If it is the right one, pass {_FLAG} {quote(remark.where)}" if remark.where else said
