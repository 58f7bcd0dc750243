"""Decisions in words: what each rule did, and what happens next."""

import pytest

from config.autoscaler import AutoscalerConfig
from kpa.controller.cluster import Listener, Outcome
from kpa.controller.explain import PAST, Explanation
from kpa.controller.reconciler import Reconciler
from kpa.controller.revisions import Pod, Revision
from kpa.web.api.api import explanation_from_json, explanation_to_json
from metrics.key import Key
from metrics.stat import Stat, StatMessage
from scaler.rules.scale_to_zero import Activity, LifecycleState

KEY = Key("default", "hello-00001")
START = 1_700_000_000.0


class Anything:
    """A cluster that takes whatever it is told."""

    def watch(self, listener: Listener) -> None:
        """Nothing changes but what the test says."""

    def carry_out(self, key: Key, outcome: Outcome) -> None:
        """Its pods are what the test says."""


class Story:
    """A revision under a reconciler whose clock the test turns."""

    def __init__(self, annotations: dict[str, str] | None = None, **config: object) -> None:
        self.now = START
        values = {"scale_rate_period": 0.0, "scale_down_delay": 0.0, "stable_window": 60.0, **config}
        self.reconciler = Reconciler(
            Anything(),
            AutoscalerConfig.model_validate(values),
            activator_answers=lambda key: True,
            clock=lambda: self.now,
        )
        self.annotations = annotations or {}
        self.show(ready=1)

    def show(self, ready: int) -> None:
        pods = tuple(
            Pod(f"pod-{number}", "127.0.0.1", 9090, 8012, ready=True, started_at=0.0)
            for number in range(ready)
        )
        lifecycle = LifecycleState(Activity.ACTIVE, START - 1e6, initialized=True)
        revision = Revision(KEY, "hello", "hello", self.annotations, 10, ready, pods, lifecycle=lifecycle)
        self.reconciler.on_revision(KEY, revision)

    def load(self, concurrency: float, seconds: int) -> None:
        for _ in range(seconds):
            stat = Stat("activator", concurrency, 0.0, concurrency, 0.0, 0.0, int(self.now))
            self.reconciler.on_stats([StatMessage(KEY.namespace, KEY.name, stat)])
            self.now += 1.0
            self.reconciler.step(self.now)

    def explained(self) -> Explanation:
        explanation = self.reconciler.explain(KEY)
        assert explanation is not None
        return explanation

    def said(self) -> str:
        return "\n".join(f"{step.rule}: {step.text} -> {step.pods}" for step in self.explained().steps)


def test_a_calm_load_is_its_own_reason() -> None:
    story = Story()
    story.load(8.0, 90)
    explanation = story.explained()
    assert explanation.summary == "1 pod, 1 ready: what the load of the stable window asks for"
    assert [step.rule for step in explanation.steps] == ["load", "panic"]
    assert explanation.steps[0].text == "8 requests in flight over 1m, 8.5 for each pod: 1 pod"
    assert "no panic" in explanation.steps[1].text
    assert explanation.next == "nothing until the load, the pods or the settings change"


def test_panic_says_since_when_and_until_when() -> None:
    story = Story()
    story.load(80.0, 30)
    said = story.said()
    assert "in panic, last 2 times the pods ready at 22:13:" in said
    assert "nothing goes until 22:14:" in said
    assert story.explained().summary.startswith("10 pods, 1 ready: what the load of the panic window")


@pytest.mark.parametrize(
    ("config", "annotations", "ready", "loads", "expected"),
    [
        (
            {"max_scale_up_rate": 2.0}, {}, 1, [(80.0, 90)],
            "max-scale-up-rate: limited from 10 to 2: at most 2 times the fewest pods ready -> 2",
        ),
        (
            {}, {}, 10, [(80.0, 90), (8.0, 90)],
            "max-scale-down-rate: limited from 1 to 9: at least the most pods ready divided by 1.1 -> 9",
        ),
        (
            {"scale_down_delay": 300.0, "max_scale_down_rate": 100.0}, {}, 5, [(40.0, 90), (8.0, 90)],
            "scale-down-delay: held at 5 instead of 1 by scale-down-delay 5m until 22:20:",
        ),
        (
            {}, {"autoscaling.knative.dev/max-scale": "2"}, 5, [(40.0, 90)],
            "max-scale: max-scale 2 is the most -> 2",
        ),
        (
            {}, {"autoscaling.knative.dev/min-scale": "4"}, 4, [(8.0, 90)],
            "min-scale: min-scale 4 is the least -> 4",
        ),
        (
            {"max_scale_down_rate": 100.0}, {"autoscaling.knative.dev/activation-scale": "3"}, 3, [(8.0, 90)],
            "activation-scale: raised from 1 to the activation scale 3 -> 3",
        ),
    ],
    ids=["up rate", "down rate", "delay", "max", "min", "activation scale"],
)  # fmt: skip
def test_a_rule_says_what_it_did(
    config: dict[str, object],
    annotations: dict[str, str],
    ready: int,
    loads: list[tuple[float, int]],
    expected: str,
) -> None:
    story = Story(annotations, **config)
    story.show(ready)
    for load, seconds in loads:
        story.load(load, seconds)
    assert expected in story.said()


def test_the_way_to_zero_says_when() -> None:
    story = Story()
    story.load(8.0, 60)
    story.load(0.0, 120)
    explanation = story.explained()
    assert "the last pod stays for the scale-to-zero-pod-retention-period" in explanation.summary
    assert explanation.next.startswith("goes to zero in 2")
    assert explanation.next.endswith("if no request comes")


def test_without_data_the_last_answer_stays_and_says_so() -> None:
    story = Story()
    assert story.explained().steps[0].text == (
        "no load was reported for 1m: the last answer stays, none was made yet"
    )


def test_the_last_changes_are_kept_newest_first_and_no_more_than_a_few() -> None:
    story = Story()
    for round in range(PAST + 4):
        story.load(80.0 if round % 2 else 300.0, 70)
        story.show(10 if round % 2 else 36)
    past = story.explained().past
    assert len(past) == PAST
    assert [one.at for one in past] == sorted((one.at for one in past), reverse=True)
    assert all(one.rule for one in past)


def test_an_explanation_survives_the_way_through_json() -> None:
    story = Story({"autoscaling.knative.dev/window": "30s"})
    story.load(80.0, 30)
    explanation = story.explained()
    assert explanation_from_json(explanation_to_json(explanation)) == explanation
    assert any(setting.source.startswith("annotation") for setting in explanation.settings)


def test_what_is_no_explanation_is_an_error() -> None:
    story = Story()
    document = explanation_to_json(story.explained())
    document["explanation"].pop("steps")
    with pytest.raises(ValueError, match="not an explanation"):
        explanation_from_json(document)


def test_an_unknown_revision_has_no_explanation() -> None:
    assert Story().reconciler.explain(Key("default", "other")) is None
