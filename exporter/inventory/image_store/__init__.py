"""Readers of containerd's own databases and blobs: what they say, without what Docker makes of it."""
