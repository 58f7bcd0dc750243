"""Forwards stats that arrive at one replica to the leader of their revision."""
