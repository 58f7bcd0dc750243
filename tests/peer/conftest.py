"""A backend for a module's queue-proxies."""

from collections.abc import Iterator

import pytest

from tests.peer.backend import Backend


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    backend = Backend()
    yield backend
    backend.close()
