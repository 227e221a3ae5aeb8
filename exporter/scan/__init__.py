"""One scan: it reads dirty metadata, has dirty trees measured, and makes the next `Snapshot`."""
