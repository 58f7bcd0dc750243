"""The application `kpa serve`: everything that runs in a cluster, started and stopped in order."""
