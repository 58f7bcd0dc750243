"""Scraping of queue-proxies: sockets, connections, parsers, and the collector that drives them.

Never: a decision that values alone can make; those are in `metrics.sampling`.
"""
