"""Ground that every other package stands on: the model, the data root as a descriptor, the log, text and units."""
