"""A `Snapshot` becomes the JSON document of /api/v1/snapshot."""
