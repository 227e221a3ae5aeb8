"""Roots of each layout that change at random, one object at a time, and what has changed since the last look."""

from tests.support.changing.containerd_host import ContainerdHost
from tests.support.changing.graph_host import GraphHost
from tests.support.changing.host import Host
from tests.support.changing.layerdb_host import LayerdbHost

HOSTS = (GraphHost, LayerdbHost, ContainerdHost)

__all__ = ["HOSTS", "ContainerdHost", "GraphHost", "Host", "LayerdbHost"]
