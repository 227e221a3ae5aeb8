"""Accepting connections, bounding them, and sharing the process among them."""
