"""The name of a revision: the key of every table."""

from typing import NamedTuple


class Key(NamedTuple):
    """Name of a revision; prints as `namespace/name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
