"""A decision in words and numbers: what each rule did on the way from load to pods, and what happens next."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from config.durations import format_duration
from config.provenance import SettingSource
from config.resolve import RevisionSettings
from kpa.controller.status import RevisionStatus
from scaler.engine.decision import Decision
from scaler.rules.trace import DecisionTrace, Rule

PAST = 16
"""Changed decisions of a revision that are kept."""


class PastDecision(NamedTuple):
    """A decision that was another than the one before, at a unix time in seconds; counts are pods."""

    at: float
    recommended: int
    requested: int
    ready: int
    stable: float | None
    panic: float | None
    mode: str
    rule: str


class Step(NamedTuple):
    """What a rule did: a sentence, and the pods after it (-1 if they are not known)."""

    rule: str
    text: str
    pods: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a revision has the pods it has.

    Attributes
    ----------
    status : RevisionStatus
        As of `time`.
    time, decided_at : float
        Unix seconds: now, and of the last decision (None without data).
    summary : str
    steps : tuple of Step
        In the order in which the rules act.
    next : str
        What happens next and when, if the load stays as it is.
    past : tuple of PastDecision
        The last changes, newest first.
    settings : tuple of SettingSource
    """

    status: RevisionStatus
    time: float
    decided_at: float | None
    summary: str
    steps: tuple[Step, ...]
    next: str
    past: tuple[PastDecision, ...] = ()
    settings: tuple[SettingSource, ...] = ()


def explain(
    status: RevisionStatus,
    settings: RevisionSettings,
    decision: Decision,
    held_until: float | None,
    now: float,
    past: tuple[PastDecision, ...] = (),
    sources: tuple[SettingSource, ...] = (),
) -> Explanation:
    """Explain the last decision on a revision.

    Parameters
    ----------
    status : RevisionStatus
        As of now, `rule` included.
    settings : RevisionSettings
    decision : Decision
    held_until : float or None
        Unix seconds at which the scale-down delay lets go of the answer.
    now : float
        Unix seconds.
    past : tuple of PastDecision
        Newest first.
    sources : tuple of SettingSource
    """
    steps = [*_decider_steps(settings, decision, held_until, now), *_later_steps(status, settings, decision)]
    summary = f"{_pods(status.requested)}, {status.ready} ready: {_SUMMARY[Rule(status.rule)]}"
    return Explanation(status, now, decision.at, summary, tuple(steps), _next(status, now), past, sources)


_SUMMARY = {
    Rule.LOAD: "what the load of the stable window asks for",
    Rule.PANIC: "what the load of the panic window asks for",
    Rule.PANIC_HOLD: "held by panic mode, which takes nothing away",
    Rule.MAX_SCALE_UP_RATE: "as far up as max-scale-up-rate allows",
    Rule.MAX_SCALE_DOWN_RATE: "as far down as max-scale-down-rate allows",
    Rule.ACTIVATION_SCALE: "the activation scale, since there is load",
    Rule.SCALE_DOWN_DELAY: "held by scale-down-delay",
    Rule.MIN_SCALE: "the min-scale",
    Rule.MAX_SCALE: "the max-scale",
    Rule.INITIAL_SCALE: "the initial scale, which it has not reached yet",
    Rule.ENABLE_SCALE_TO_ZERO: "one pod stays, since enable-scale-to-zero is false",
    Rule.STABLE_WINDOW: "one pod stays until it has been active for a stable window",
    Rule.GRACE_PERIOD: "idle; routing gets the scale-to-zero-grace-period before the last pod goes",
    Rule.RETENTION_PERIOD: "idle; the last pod stays for the scale-to-zero-pod-retention-period",
    Rule.ACTIVATOR: "idle; the last pod stays until an activator answers for it",
    Rule.PROGRESS_DEADLINE: "it gets the progress deadline to become ready",
    Rule.NO_TRAFFIC: "no pod is ready and no load is reported",
    Rule.NO_DATA: "its load is not known, the last answer stays",
}

_LATER = {
    Rule.MIN_SCALE: "min-scale {0.min_scale} is the least",
    Rule.MAX_SCALE: "max-scale {0.max_scale} is the most",
    Rule.INITIAL_SCALE: "initial scale {0.initial_scale} is the least until so many pods were ready once",
}


def _decider_steps(
    settings: RevisionSettings, decision: Decision, held_until: float | None, now: float
) -> Iterator[Step]:
    trace = decision.trace
    if trace is None:
        last = "none was made yet" if decision.recommended < 0 else f"it was {_pods(decision.recommended)}"
        window = format_duration(settings.stable_window)
        yield Step(
            Rule.NO_DATA,
            f"no load was reported for {window}: the last answer stays, {last}",
            decision.recommended,
        )
        return
    unit = "requests a second" if settings.metric == "rps" else "requests in flight"
    target = f"{settings.target_value:.4g} for each pod"
    yield Step(
        Rule.LOAD,
        f"{decision.stable:.4g} {unit} over {format_duration(settings.stable_window)}, {target}: "
        f"{_pods(trace.stable_asks)}",
        trace.stable_asks,
    )
    window, panic = format_duration(settings.panic_window), _panic(settings, decision, trace, now)
    yield Step(
        Rule.PANIC,
        f"{decision.panic:.4g} {unit} over {window}: {_pods(trace.panic_asks)}, {panic}",
        trace.asks,
    )
    yield from _window_step(settings, trace)
    if trace.held > trace.wants:
        yield Step(
            Rule.PANIC_HOLD,
            f"this panic asked for {_pods(trace.held)} before and takes nothing away",
            trace.held,
        )
    if trace.recommended > trace.held:
        delay, until = format_duration(settings.scale_down_delay), _until(held_until, now)
        yield Step(
            Rule.SCALE_DOWN_DELAY,
            f"held at {trace.recommended} instead of {trace.held} by scale-down-delay {delay}{until}",
            trace.recommended,
        )


def _panic(settings: RevisionSettings, decision: Decision, trace: DecisionTrace, now: float) -> str:
    ready, threshold = _pods(trace.ready), f"{settings.panic_threshold:.4g} times"
    if decision.panic_since is None:
        return f"below {threshold} the {ready} ready: no panic"
    until = _until(decision.panic_since + settings.stable_window, now)
    return f"in panic, last {threshold} the pods ready at {_clock(decision.panic_since)}: nothing goes{until}"


def _window_step(settings: RevisionSettings, trace: DecisionTrace) -> Iterator[Step]:
    within = f" within {format_duration(settings.scale_rate_period)}" if settings.scale_rate_period else ""
    rule = trace.window_rule
    if rule is Rule.MAX_SCALE_UP_RATE:
        rate = f"{settings.max_scale_up_rate:.4g} times the fewest pods ready{within}"
        yield Step(rule, f"limited from {trace.asks} to {trace.wants}: at most {rate}", trace.wants)
    elif rule is Rule.MAX_SCALE_DOWN_RATE:
        rate = f"the most pods ready{within} divided by {settings.max_scale_down_rate:.4g}"
        yield Step(rule, f"limited from {trace.asks} to {trace.wants}: at least {rate}", trace.wants)
    elif rule is Rule.ACTIVATION_SCALE:
        yield Step(rule, f"raised from {trace.asks} to the activation scale {trace.wants}", trace.wants)


def _later_steps(status: RevisionStatus, settings: RevisionSettings, decision: Decision) -> Iterator[Step]:
    """What bounds and the way to zero did, if the decider's answer was not the last word."""
    rule = Rule(status.rule)
    if rule not in (decision.rule, Rule.NO_DATA):  # the decider has said these
        text = _LATER[rule].format(settings) if rule in _LATER else _SUMMARY[rule]
        yield Step(rule, text, status.requested)


def _next(status: RevisionStatus, now: float) -> str:
    event = status.next_event
    if event is None:
        return "nothing until the load, the pods or the settings change"
    seconds = max(0, round(event.at - now))
    when = f"in {format_duration(seconds)}, at {_clock(event.at)}" if seconds else "now"
    return f"{_NEXT.get(event.what, event.what)} {when} if no request comes"


_NEXT = {
    "scale to zero": "goes to zero",
    "become inactive": "becomes inactive",
    "give up activation": "its activation is given up",
}


def _until(at: float | None, now: float) -> str:
    if at is None or at <= now:
        return ""
    return f" until {_clock(at)} (in {format_duration(round(at - now) or 1)})"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"
