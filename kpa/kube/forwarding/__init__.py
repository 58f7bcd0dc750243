"""Stats that arrive at a replica that does not lead their revision, on their way to the one that does."""
