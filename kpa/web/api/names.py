"""Names of revisions as a person writes them, and the revision that each one means."""

from collections.abc import Iterable

from kpa.controller.status import RevisionStatus
from metrics.key import Key


class NoRevision(LookupError):
    """No revision or service has the name."""


class Ambiguous(LookupError):
    """Revisions of several namespaces have the name."""


def find_revision(name: str, statuses: Iterable[RevisionStatus]) -> Key:
    """Return the revision that a name means.

    The name of a revision comes before the name of a service. A service means its last revision in order of
    name.

    Parameters
    ----------
    name : str
        `NAMESPACE/NAME`, or `NAME` alone if only one namespace has it.
    statuses : iterable of RevisionStatus
        The fleet.

    Raises
    ------
    NoRevision, Ambiguous
        The message is one line for the user.
    """
    namespace, _, last = name.rpartition("/")
    revisions, services = [], []
    for one in statuses:
        if namespace in ("", one.key.namespace):
            if one.key.name == last:
                revisions.append(one.key)
            elif last and one.service == last:
                services.append(one.key)
    keys = sorted(revisions or services)
    if not keys:
        raise NoRevision(f"there is no revision or service {name}")
    namespaces = sorted({key.namespace for key in keys})
    if len(namespaces) > 1:
        raise Ambiguous(f"{name} is in {', '.join(namespaces)}: say NAMESPACE/{last}")
    return keys[-1]
