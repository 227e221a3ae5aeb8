"""Serves the bytes that `publication` made: a request reads the current publication and nothing else."""
