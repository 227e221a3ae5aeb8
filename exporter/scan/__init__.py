"""One scan: reads what is dirty, has it measured, and makes the next `Snapshot`."""
