"""The version of kpa that runs."""

from importlib import metadata


def version() -> str:
    """The installed version of kpa, or `unknown` when it runs from a source tree."""
    try:
        return metadata.version("kpa")
    except metadata.PackageNotFoundError:
        return "unknown"
