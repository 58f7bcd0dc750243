"""The autoscaler's answers as JSON, and back: what `GET /api/revisions` sends and `kpa status` reads."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, NamedTuple, get_args

from config.provenance import SettingSource
from kpa.controller.explain import Explanation, PastDecision, Step
from kpa.controller.status import Activity, Comparison, Mode, NextEvent, RevisionStatus
from metrics.key import Key

_OWN_FORM = ("key", "next_event", "comparison")
_COPIED = tuple(field.name for field in fields(RevisionStatus) if field.name not in _OWN_FORM)
_COMPARED = tuple(field.name for field in fields(Comparison))
_ALLOWED = {"mode": get_args(Mode), "activity": get_args(Activity)}


class FleetResponse(NamedTuple):
    """All revisions at one moment: unix time in seconds, profile of the configuration, one status each."""

    time: float
    profile: str
    revisions: tuple[RevisionStatus, ...]


def revision_to_json(status: RevisionStatus) -> dict[str, Any]:
    """Fields of one revision as JSON values.

    `pods` are all that exist: `ready + not_ready`, as pods that are pending or terminating are not ready
    (knative/serving pkg/resources/pods.go counts the same way).
    """
    document: dict[str, Any] = {"namespace": status.key.namespace, "name": status.key.name}
    document |= {name: getattr(status, name) for name in _COPIED}
    document["pods"] = status.ready + status.not_ready
    event = status.next_event
    document["next_event"] = {"what": event.what, "at": event.at} if event else None
    if status.comparison is not None:
        document["comparison"] = asdict(status.comparison)
    return document


def explanation_to_json(explanation: Explanation) -> dict[str, Any]:
    """The answer of `GET /api/revisions/NAMESPACE/NAME`: fields of the revision, and why it has its pods."""
    return revision_to_json(explanation.status) | {
        "explanation": {
            "time": explanation.time,
            "decided_at": explanation.decided_at,
            "summary": explanation.summary,
            "steps": [step._asdict() for step in explanation.steps],
            "next": explanation.next,
            "past": [past._asdict() for past in explanation.past],
            "settings": [setting._asdict() for setting in explanation.settings],
        }
    }


def explanation_from_json(document: Mapping[str, Any]) -> Explanation:
    """Read the answer of `GET /api/revisions/NAMESPACE/NAME`.

    Raises
    ------
    ValueError
        It is not of this form.
    """
    status = revision_from_json(document)
    try:
        said = document["explanation"]
        return Explanation(
            status=status,
            time=said["time"],
            decided_at=said["decided_at"],
            summary=said["summary"],
            steps=tuple(Step(**step) for step in said["steps"]),
            next=said["next"],
            past=tuple(PastDecision(**past) for past in said["past"]),
            settings=tuple(SettingSource(**setting) for setting in said["settings"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an explanation: {error}") from error


def revision_from_json(document: Mapping[str, Any]) -> RevisionStatus:
    """Read one revision; fields that we do not know are ignored.

    Raises
    ------
    ValueError
        A field is missing, or mode or activity is none of the known words.
    """
    try:
        values = {name: document[name] for name in _COPIED}
        key = Key(document["namespace"], document["name"])
        event = document["next_event"]
        next_event = NextEvent(event["what"], event["at"]) if event else None
        compared = document.get("comparison")
        comparison = Comparison(**{name: compared[name] for name in _COMPARED}) if compared else None
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a revision: {error.args[0] if error.args else error}") from error
    for name, allowed in _ALLOWED.items():
        if values[name] not in allowed:
            raise ValueError(f"{name} {values[name]!r} of {key}: allowed are {', '.join(allowed)}")
    return RevisionStatus(key=key, **values, next_event=next_event, comparison=comparison)


def fleet_to_json(time: float, profile: str, statuses: Iterable[RevisionStatus]) -> str:
    """The answer of `GET /api/revisions`, in one line.

    Raises
    ------
    ValueError
        A number is not finite; JSON has no word for it.
    """
    document = {"time": time, "profile": profile, "revisions": [revision_to_json(one) for one in statuses]}
    return json.dumps(document, allow_nan=False)


def fleet_from_json(text: str | bytes) -> FleetResponse:
    """Read the answer of `GET /api/revisions`.

    Raises
    ------
    ValueError
        It is not JSON, or not of this form.
    """
    document = json.loads(text)
    try:
        time, profile, revisions = document["time"], document["profile"], document["revisions"]
        return FleetResponse(float(time), str(profile), tuple(map(revision_from_json, revisions)))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an answer of /api/revisions: {error}") from error
