"""Flags of the commands for people at a terminal."""

from typing import Any

import click

from exporter.cli.options import Decorator, option
from exporter.cli.param_types import DurationType, ShareType, SizeType


def _quiet(flag: str, name: str, **settings: Any) -> Decorator:
    """An option without its default in --help."""
    return option(flag, name, show_default=False, **settings)


from_url = _quiet("--from", "url", default="", metavar="URL", help="Ask this running exporter instead of scanning.")
from_user = _quiet("--from.user", "user", default="", metavar="NAME", help="The user name, if the exporter wants one.")
from_password_file = _quiet(
    "--from.password-file",
    "password_file",
    default=None,
    metavar="FILE",
    type=click.File(errors="surrogateescape"),
    help="A file whose first line is the password.",
)
from_ca_file = _quiet(
    "--from.ca-file",
    "ca_file",
    default=None,
    metavar="FILE",
    help="The certificate authority that signed the exporter's certificate, PEM.",
)
from_cert_file = _quiet(
    "--from.cert-file", "cert_file", default=None, metavar="FILE", help="A client certificate, PEM."
)
from_key_file = _quiet(
    "--from.key-file", "key_file", default=None, metavar="FILE", help="Its key, if that is another file."
)
tree = click.option("--tree", is_flag=True, help="Draw the tree, as docker images -tree of Docker 1.x did.")
all_images = click.option("--all", "-a", "intermediate", is_flag=True, help="List intermediate images too.")
all_containers = click.option(
    "--all", "-a", "every", is_flag=True, help="For the habit of docker ps: all containers are listed anyway."
)
orphaned = click.option("--orphaned", is_flag=True, help="List only layers that nothing refers to.")
host_root = click.option(
    "--host-root", default="", metavar="DIR", help="Where the data root is on the host, if it is elsewhere there."
)
prefix = click.option(
    "--prefix", default="", metavar="DIR", help="Where the host's / is mounted here; goes before bind mounts' paths."
)
size_to_free = click.argument("wanted", metavar="[SIZE]", type=SizeType(), required=False)
until = click.option(
    "--until", type=ShareType(), metavar="SHARE", help="Free until so much of the filesystem is used, such as 80%."
)
filesystem = click.option(
    "--filesystem", "mountpoint", default="", metavar="DIR", help="The mount point of it; by default of the data root."
)
measure_binds = click.option(
    "--measure-binds", "measure", is_flag=True, help="Measure the directories that are bind-mounted."
)
docker = click.option(
    "--docker/--no-docker",
    "docker",
    default=True,
    help="Save with Docker's own commands; with --no-docker as files, for a host where no daemon starts.",
)

depth = click.option(
    "--depth",
    "-d",
    "depth",
    default=1,
    show_default=True,
    type=click.IntRange(0, 100),
    metavar="N",
    help="Show so many levels of directories; 0 is the sum alone.",
)
largest_files = click.option(
    "--files",
    "files",
    default=10,
    show_default=True,
    type=click.IntRange(0, 10_000),
    metavar="N",
    help="Show so many files of each directory, the largest; the others are one line.",
)
interactive = click.option(
    "--interactive", "-i", "interactive", is_flag=True, help="Look around with the arrow keys. Nothing is changed."
)

since = click.option(
    "--since",
    default=None,
    type=DurationType(min=1),
    metavar="TIME",
    help="Compare with so long ago, such as 24h or 7d.",
)
from_prometheus = _quiet(
    "--from-prometheus",
    "prometheus",
    default="",
    metavar="URL",
    help="Ask this Prometheus for the series of the exporter.",
)
instance = click.option("--instance", default="", metavar="NAME", help="The host, where the Prometheus has several.")
prometheus_job = click.option("--job", default="", metavar="NAME", help="The job of the exporter in the Prometheus.")
prometheus_labels = click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another label of the host, such as cluster=a. Repeat it for several.",
)
prometheus_user = _quiet(
    "--prometheus.user",
    "prometheus_user",
    default="",
    metavar="NAME",
    help="The user name, if the Prometheus wants one.",
)
prometheus_password_file = _quiet(
    "--prometheus.password-file",
    "prometheus_password_file",
    default=None,
    metavar="FILE",
    type=click.File(errors="surrogateescape"),
    help="A file whose first line is the password.",
)
prometheus_ca_file = _quiet(
    "--prometheus.ca-file",
    "prometheus_ca_file",
    default=None,
    metavar="FILE",
    help="The certificate authority that signed the certificate of the Prometheus, PEM.",
)
