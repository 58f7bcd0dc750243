"""Kubernetes Events: what they say, and a recorder that counts what repeats."""
