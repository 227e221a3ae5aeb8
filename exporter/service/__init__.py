"""The processes of `run`: the serving one, and the scanning one that it supervises."""
