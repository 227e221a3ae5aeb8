"""Families: what their samples have, and what they leave out."""

from exporter.expose.metrics import catalogue as c
from exporter.expose.metrics.family import family


def test_a_label_that_says_nothing_on_most_hosts_is_left_out_where_it_is_empty() -> None:
    made = family(c.IMAGES, [(("overlay2", "", "used"), 1), (("overlayfs", "k8s.io", "used"), 2)])
    assert [one.labels for one in made.samples] == [
        {"driver": "overlay2", "state": "used"},
        {"driver": "overlayfs", "namespace": "k8s.io", "state": "used"},
    ]


def test_any_other_label_is_there_also_where_it_is_empty() -> None:
    (sample,) = family(c.LAYER_INFO, [(("", "", "", "", "image", ""), 1)]).samples
    assert sample.labels == {"driver": "", "layer_id": "", "parent": "", "use": "image", "chain": ""}
