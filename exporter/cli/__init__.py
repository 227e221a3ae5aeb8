"""The command line: each command builds a `Config` and calls one function."""
