"""Scraping of queue-proxies: sockets, connections, parsers, and the collector that drives them.

Never: a decision that could be made from values; those are in `metrics.sampling`.
"""
