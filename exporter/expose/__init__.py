"""Turns a `Snapshot` and its figures into bytes: the exposition, the JSON document, the content of the pages."""
