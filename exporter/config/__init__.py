"""Settings, the YAML reader, limits on series, and where state may be kept."""
