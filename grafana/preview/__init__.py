"""Draws docs/images/dashboard.png from a running Prometheus. Development only."""
