"""One real job that settles what fal's documents leave open (fal.md, section 17)."""
