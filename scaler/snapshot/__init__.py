"""What an engine knows, as bytes, and back into another engine."""
