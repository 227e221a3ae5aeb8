"""What is there: metadata files of a data root become an `Inventory`. Nothing here measures a directory tree."""
