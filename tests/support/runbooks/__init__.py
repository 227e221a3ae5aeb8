"""Runbooks, as somebody follows them: their commands, hosts with the trouble, and what is run nowhere and why."""
