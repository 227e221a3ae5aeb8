"""Safe reading of untrusted files that change while they are read."""
