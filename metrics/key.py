"""The name of a revision, which every table of the service is keyed by."""

from typing import NamedTuple


class Key(NamedTuple):
    """Name of a revision; prints as `namespace/name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
