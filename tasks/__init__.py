"""Verbs: one stage, one file. They meet in the ledger and hand each other ids and counts."""
