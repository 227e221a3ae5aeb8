"""The commands for people at a terminal: each makes an answer of a `Document`, as data and as tables."""
