"""Which revision a name means.

Left out: HTTP (test_server), what the command prints (tests/kpa/commands/test_explain.py).
"""

from dataclasses import replace

import pytest

from kpa.controller.status import RevisionStatus
from kpa.web.api.names import Ambiguous, NoRevision, find_revision
from metrics.key import Key
from tests.kpa.controller.status_samples import SAMPLE


def status(namespace: str, name: str, service: str = "") -> RevisionStatus:
    return replace(SAMPLE, key=Key(namespace, name), service=service)


FLEET = [
    status("a", "web-00002", "web"),
    status("a", "web-00010", "web"),
    status("a", "web-00001", "web"),
    status("b", "web-00001", "web"),
    status("b", "other", ""),
    status("c", "other-00001", "other"),
]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a/web-00001", ("a", "web-00001")),
        ("web-00002", ("a", "web-00002")),
        ("a/web", ("a", "web-00010")),
        ("b/web", ("b", "web-00001")),
        ("other", ("b", "other")),
        ("c/other", ("c", "other-00001")),
    ],
)
def test_a_name_means_one_revision(name: str, found: tuple[str, str]) -> None:
    assert find_revision(name, FLEET) == Key(*found)


@pytest.mark.parametrize(("name", "last"), [("web-00001", "web-00001"), ("web", "web")])
def test_a_name_of_two_namespaces_is_ambiguous(name: str, last: str) -> None:
    with pytest.raises(Ambiguous, match=f"^{name} is in a, b: say NAMESPACE/{last}$"):
        find_revision(name, FLEET)


@pytest.mark.parametrize("name", ["", "/", "a/", "none", "c/web", "a/web/web-00001"])
def test_other_names_mean_no_revision(name: str) -> None:
    """The empty name is not the service of revisions without a service."""
    with pytest.raises(NoRevision, match=f"^there is no revision or service {name}$"):
        find_revision(name, FLEET)
