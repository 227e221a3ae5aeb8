"""Situations in which alerts must fire or must not, as series for promtool."""
