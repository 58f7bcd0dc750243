"""Decisions of scraping: which pods, when, how many, and what stands in for a missing response.

Never: input or output, clocks, event loops. `metrics.scraping` carries these decisions out.
"""
