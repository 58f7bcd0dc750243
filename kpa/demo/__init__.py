"""The demonstration: a sample model, a load player and a live view around one `kpa local`.

Here: what `kpa demo` needs and nothing else needs. It is a user of the service like any other: it writes
manifests, sends requests, reads the API.

Never: anything that the service imports.
"""
