"""The API under `/api`: its bodies, and responses without an end."""
