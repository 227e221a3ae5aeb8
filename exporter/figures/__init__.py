"""Pure functions of a `Snapshot`: shared, unique and proportional sizes, and what each prune frees."""
