"""`kpa local` for the tests of a module; whatever happens, no process of it is left."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.running import Kpa

Launch = Callable[..., Kpa]


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    """Start `kpa local` with some services, and wait until it takes requests."""
    started: list[Kpa] = []

    def start(*services: Any, ready: bool = True, **options: Any) -> Kpa:
        kpa = Kpa(tmp_path_factory.mktemp("kpa"), services, **options)
        started.append(kpa)
        if ready:
            kpa.wait_ready()
        return kpa

    yield start
    problems = []
    for kpa in started:
        try:
            kpa.end()
        except Exception as error:  # the others must end as well
            problems.append(error)
    if problems:
        raise ExceptionGroup("kpa local did not end well", problems)
