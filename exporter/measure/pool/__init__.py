"""Many trees measured at once, by worker processes."""
