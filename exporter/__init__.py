"""Where a Docker host's disk goes, told to Prometheus from the data root alone."""
