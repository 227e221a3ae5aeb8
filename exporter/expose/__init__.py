"""A `Snapshot` and its figures become bytes: the exposition, the JSON document, what the pages say."""
