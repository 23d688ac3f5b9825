"""Sentences: which stages, in what order. One file is one deployment."""
