"""Flags of `demo` and `rules`."""

import click

from exporter.cli.options import option

busy = click.option(
    "--busy", is_flag=True, help="Keep changing it until Ctrl-C: layers come, logs grow, images are pruned."
)
host = click.option(
    "--host",
    "host",
    type=click.Choice(("wiki", "build", "containerd")),
    default="wiki",
    show_default=True,
    help="wiki: Docker 1.5 with aufs, two images, 37 layers. build: Docker 20.10 with overlay2 and BuildKit. "
    "containerd: Docker 28 with the containerd image store, and two pods of Kubernetes.",
)
job = option(
    "--job", "job", default="docker-storage", metavar="NAME", help="The job name of the exporters in Prometheus."
)
thresholds = option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a threshold: a size (2GB), a share (15%) or a time (6h). Repeat it for several; --list names all.",
)
runbooks = option(
    "--runbooks",
    "runbooks",
    default="",
    metavar="URL",
    help="Where the runbooks are served; alerts have a runbook_url then. The name of the alert is added, or replaces "
    "NAME in the URL. The exporter serves them: http://{{ $labels.instance }}/runbooks",
)
labels_of_fleets = option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME",
    help="A label by which hosts with the same job and instance differ, such as cluster, or root where `once --label` "
    "adds it. Repeat it for several.",
)
bridge = option(
    "--bridge",
    "bridge",
    default="10m",
    show_default=True,
    metavar="TIME",
    help="A gap in the samples that is shorter changes no alert. At least four times the scrape interval.",
)
textfile = option(
    "--textfile",
    "textfile",
    default="",
    metavar="TIME",
    help="How often `once` writes for node_exporter, where the figures come by its textfile collector, such as 1h.",
)
speed = option(
    "--speed",
    "speed",
    default=1.0,
    type=click.FloatRange(min=1),
    metavar="FACTOR",
    help="Divide all durations in the rules by this, to try the alerts out.",
)
rules_form = option(
    "--format",
    "form",
    default="prometheus",
    type=click.Choice(["prometheus", "json", "prometheus-rule"]),
    help="prometheus: a file for rule_files. json: the same for jsonnet. prometheus-rule: a PrometheusRule for the "
    "operator on Kubernetes.",
)
listed = click.option("--list", "listed", is_flag=True, help="List the thresholds instead of printing rules.")
