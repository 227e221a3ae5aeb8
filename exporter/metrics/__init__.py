"""A `Snapshot` to exposition bytes. The only place where a metric has a name is `metrics.catalogue`."""
