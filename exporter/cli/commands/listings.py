"""The listings of each command: the columns, fields and filters that its flags can name."""

from collections.abc import Mapping
from typing import Any

from exporter.cli.commands.build_cache import BUILD_CACHE
from exporter.cli.commands.columns import ObjectList
from exporter.cli.commands.containers import CONTAINERS
from exporter.cli.commands.df import PARTS
from exporter.cli.commands.diff import CHANGES
from exporter.cli.commands.du import ENTRIES
from exporter.cli.commands.images import IMAGES
from exporter.cli.commands.layers import LAYERS
from exporter.cli.commands.summary import SUMMARY
from exporter.cli.commands.volumes import VOLUMES

#: By the name of the command. The first one is what CSV and --quiet print.
LISTINGS: Mapping[str, tuple[ObjectList[Any], ...]] = {
    "df": (PARTS, SUMMARY),
    "images": (IMAGES,),
    "containers": (CONTAINERS,),
    "volumes": (VOLUMES,),
    "build-cache": (BUILD_CACHE,),
    "layers": (LAYERS,),
    "du": (ENTRIES,),
    "diff": (CHANGES,),
}
