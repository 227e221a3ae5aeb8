"""The same snapshot for people at a terminal: each command makes an answer of a `Document`, as data and as tables."""
