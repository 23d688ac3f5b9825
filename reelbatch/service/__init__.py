"""The webhook receiver: `reelbatch serve`."""
