"""What the exporter costs, side by side with what else gives the figures: `make benchmark`."""
