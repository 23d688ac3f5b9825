"""A run: one process that drives one batch. What it needs, when it asks, how it stops."""
