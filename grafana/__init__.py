"""Makes the dashboards: `python -m grafana` writes the JSON files beside this one. Development only."""
