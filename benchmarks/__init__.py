"""Measures what the exporter costs, and compares it with other tools: `make benchmark`."""
