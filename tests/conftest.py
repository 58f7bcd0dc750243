"""The order of all tests."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests with a control plane run last: their stub pods hold port 9090 until the session ends.

    Knative's own queue-proxy, which other tests run, has its metrics there and cannot move.
    """
    items.sort(key=lambda item: item.get_closest_marker("kube") is not None)
