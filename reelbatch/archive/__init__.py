"""Where videos are kept: write-once media, and beside it JSON that can rebuild a lost ledger."""
