"""Reads the metadata files of a data root to an `Inventory`. Nothing here measures a directory tree."""
