"""Decisions of scraping: whom to ask, when, how many, and what stands for a missing answer.

Never: input or output, clocks, event loops. `metrics.scraping` does what is decided here.
"""
