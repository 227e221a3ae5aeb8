"""What every other package may import: the model, the data root, messages, the log, text and units."""
