"""A `Snapshot` becomes exposition bytes. `catalogue` is the only place where a metric has a name."""
