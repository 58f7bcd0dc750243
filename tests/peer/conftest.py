"""Programs built before the first test, and a backend for a module's queue-proxies."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.peer.backend import Backend
from tests.peer.programs import PACKAGES, BuildError, is_built, program


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build Knative's programs outside any test's time limit: the first time it takes minutes.

    What cannot be built fails the tests that need it, with the reason.
    """
    if session.config.option.collectonly or not any(
        item.get_closest_marker("peer") for item in session.items
    ):
        return
    missing = [name for name in PACKAGES if not is_built(name)]
    if missing:
        print(f"building Knative's {', '.join(missing)}; the first time this takes minutes", flush=True)
    with contextlib.suppress(BuildError):
        for name in missing:
            program(name)


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    backend = Backend()
    yield backend
    backend.close()
