"""Files edited while services run: good edits apply live, bad ones are reported and change nothing.

Each test has a service of its own in one manifest; what one test leaves does not matter to the next.
"""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Launch
from tests.e2e.running import NAMED, Answer, Kpa, client, failures, service

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

WINDOW = 6
SETTINGS = {
    "stable-window": f"{WINDOW}s",
    "allow-zero-initial-scale": "true",
    "min-scale": "1",
    "scale-down-delay": "0s",
    "max-scale-down-rate": "10",
    "scale-to-zero-grace-period": "1s",
    "scale-to-zero-pod-retention-period": "0s",
}
FAILS = ("$(KPA_PYTHON)", "-c", "print('no model here'); raise SystemExit(3)")


class Editor:
    """A running kpa and its two files."""

    def __init__(self, kpa: Kpa, documents: dict[str, dict[str, Any]], settings: dict[str, str]) -> None:
        self.kpa, self.documents, self.settings = kpa, documents, settings

    def edit(self, name: str, **values: Any) -> None:
        """Replace a service."""
        self.documents[name] = service(name, **values)
        self.kpa.write(self.documents.values())

    def set(self, **changed: str) -> None:
        """Change settings, keys in snake case."""
        self.settings |= {key.replace("_", "-"): value for key, value in changed.items()}
        read = f"{self.kpa.config} reloaded"
        before = self.kpa.log.count(read)
        self.kpa.configure(self.settings)
        self.kpa.wait(lambda: self.kpa.log.count(read) > before, "the settings are read")

    def wait_log(self, *texts: str) -> str:
        """Wait for a line with some texts; returns it."""
        found: list[str] = []

        def search() -> bool:
            found.extend(line for line in self.kpa.log.splitlines() if all(text in line for text in texts))
            return bool(found)

        self.kpa.wait(search, f"a line with {texts}")
        return found[-1]


@pytest.fixture(scope="module")
def editor(launch: Launch) -> Editor:
    names = ("spoiled", "tuned", "delayed", "rolled", "failing", "leaving")
    documents = {name: service(name, command=NAMED, concurrency=5) for name in names}
    documents["asleep"] = service(
        "asleep", {"initial-scale": 0, "min-scale": 0}, command=NAMED, concurrency=5
    )
    kpa = launch(*documents.values(), settings=SETTINGS)
    for name in names:
        kpa.wait_status(f"{name}-00001", lambda status: status.ready == 1, "its first pod")
    return Editor(kpa, documents, dict(SETTINGS))


async def load(
    kpa: Kpa, name: str, clients: int, seconds: float, enough: Callable[[], object] = lambda: True
) -> list[Answer]:
    """Load a service for a while."""
    async with client(kpa) as requests:
        return await requests.load(name, clients, seconds, "/?sleep=0.3", enough=enough)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("containerConcurrency",), -3, ("containerConcurrency: -3 is not allowed", "allowed:")),
        (("containers",), [{}], ("command", "a process needs `command`")),
    ],
    ids=["a number", "no command"],
)
def test_a_bad_manifest_is_reported_and_changes_nothing(
    editor: Editor, path: tuple[str, ...], value: object, told: tuple[str, ...]
) -> None:
    kpa, before = editor.kpa, editor.kpa.pods("spoiled")
    bad = copy.deepcopy(editor.documents)
    bad["spoiled"]["spec"]["template"]["spec"][path[0]] = value
    bad["tuned"]["spec"]["template"]["metadata"]["annotations"] = {"autoscaling.knative.dev/min-scale": "5"}
    kpa.write(bad.values())
    line = editor.wait_log(str(kpa.manifest), *told)
    assert " error " in line
    assert kpa.pods("spoiled") == before
    assert kpa.revisions()["tuned-00001"].min_scale == 1  # a good part of a bad file does not count either


def test_a_manifest_that_is_no_yaml_is_reported_and_changes_nothing(editor: Editor) -> None:
    editor.kpa.write_text("spec: [unclosed")
    editor.wait_log(str(editor.kpa.manifest), "cannot be read")
    assert editor.kpa.get("spoiled")[0] == 200
    editor.kpa.write(editor.documents.values())
    editor.wait_log("manifests reloaded")


def test_a_bad_setting_is_reported_and_the_last_good_ones_hold(editor: Editor) -> None:
    kpa = editor.kpa
    assert kpa.metric("kpa_config_valid") == 1
    before = kpa.revisions()["tuned-00001"].target
    kpa.configure(
        {
            **SETTINGS,
            "stable-window": "2s",
            "max-scale-up-rate": "one",
            "container-concurrency-target-percentage": "50",
        }
    )
    line = editor.wait_log("the last good settings stay in force")
    for text in (
        str(kpa.config),
        "stable-window",
        "2s",
        "6s",
        "1h",
        "max-scale-up-rate",
        "one",
        "more than 1",
    ):
        assert text in line, text
    kpa.wait(lambda: kpa.metric("kpa_config_valid") == 0, "telemetry says so")
    assert kpa.revisions()["tuned-00001"].target == before
    assert kpa.get("tuned")[0] == 200
    editor.set(container_concurrency_target_percentage="60")
    kpa.wait(lambda: kpa.metric("kpa_config_valid") == 1, "telemetry says so")
    kpa.wait_status("tuned-00001", lambda status: status.target == 3.0, "60 % of 5")


def test_an_unknown_key_is_named_with_the_nearest_one(editor: Editor) -> None:
    editor.kpa.configure({**SETTINGS, "stable-windw": "10s"})
    editor.wait_log("stable-windw", "did you mean stable-window?")


def test_edited_annotations_apply_to_the_running_revision(editor: Editor) -> None:
    kpa = editor.kpa
    pods = kpa.pods("tuned")
    editor.edit("tuned", annotations={"min-scale": 3, "target": 2}, command=NAMED, concurrency=5)
    status = kpa.wait_replicas("tuned-00001", 3)
    assert (status.min_scale, status.target < 2.01) == (3, True)
    assert set(pods) <= set(kpa.pods("tuned"))
    editor.edit("tuned", annotations={"min-scale": 1, "max-scale": 1}, command=NAMED, concurrency=5)
    status = kpa.wait_replicas("tuned-00001", 1)
    assert status.mode == "fixed"
    assert "tuned-00002" not in kpa.revisions()


def test_a_raised_minimum_wakes_a_service_that_never_had_a_request(editor: Editor) -> None:
    kpa = editor.kpa
    assert kpa.revisions()["asleep-00001"].replicas == 0
    editor.edit("asleep", annotations={"initial-scale": 0, "min-scale": 2}, command=NAMED, concurrency=5)
    kpa.wait_replicas("asleep-00001", 2)
    kpa.wait_status("asleep-00001", lambda status: status.activity == "active", "active")


def test_an_edited_scale_down_delay_holds_replicas_and_lets_them_go(editor: Editor) -> None:
    kpa = editor.kpa
    asyncio.run(load(kpa, "delayed", 12, 6))
    editor.set(scale_down_delay="10m")
    held = kpa.revisions()["delayed-00001"].replicas
    assert held > 1
    kpa.wait_status("delayed-00001", lambda status: status.stable == 0 and status.mode == "stable", "no load")
    status = kpa.revisions()["delayed-00001"]
    assert status.recommended == status.replicas >= held
    editor.set(scale_down_delay="0s")
    kpa.wait_status("delayed-00001", lambda status: status.replicas < held, "fewer replicas")


def test_a_changed_template_rolls_out_without_a_failed_request(editor: Editor) -> None:
    kpa = editor.kpa

    async def story() -> list[Answer]:
        over = asyncio.Event()
        loading = asyncio.create_task(load(kpa, "rolled", 4, 0, over.is_set))
        await asyncio.sleep(2)
        editor.edit("rolled", command=NAMED, concurrency=5, env={"VERSION": 2})
        moved = lambda: kpa.get("rolled")[1].startswith("rolled-00002")  # noqa: E731
        await asyncio.to_thread(kpa.wait, moved, "the new revision answers")
        await asyncio.sleep(2)
        over.set()
        return await loading

    answers = asyncio.run(story())
    assert not failures(answers)
    revisions = [answer.body.rpartition("-")[0] for answer in sorted(answers, key=lambda one: one.start)]
    assert revisions[0] == "rolled-00001"
    assert revisions[-1] == "rolled-00002"
    moved = revisions.index("rolled-00002")
    assert set(revisions[moved + 4 :]) == {"rolled-00002"}
    kpa.wait(lambda: "rolled-00001" not in kpa.revisions(), "the old revision has gone")


def test_a_new_revision_that_fails_leaves_the_old_one_serving(editor: Editor) -> None:
    kpa = editor.kpa
    editor.edit("failing", command=FAILS, concurrency=5)
    editor.wait_log("failing-00002", "process ended with exit code 3")
    editor.wait_log("failing-00002", "no model here")
    for _ in range(10):
        status, body = kpa.get("failing")
        assert (status, body.rpartition("-")[0]) == (200, "failing-00001")
    editor.edit("failing", command=NAMED, concurrency=5)
    kpa.wait(lambda: kpa.get("failing")[1].startswith("failing-00003"), "the repaired one serves")
    kpa.wait(lambda: "failing-00002" not in kpa.revisions(), "the bad revision has gone")


def test_a_service_can_be_taken_away_and_brought_back(editor: Editor) -> None:
    kpa = editor.kpa
    document = editor.documents.pop("leaving")
    kpa.write(editor.documents.values())
    kpa.wait(lambda: "leaving-00001" not in kpa.revisions(), "it is gone")
    kpa.wait(lambda: kpa.get("leaving")[0] == 404, "nobody answers for it")
    kpa.wait(lambda: not kpa.pids("K_SERVICE=leaving"), "its processes are gone")
    assert kpa.get("spoiled")[0] == 200
    editor.documents["leaving"] = document
    kpa.write(editor.documents.values())
    kpa.wait(lambda: kpa.get("leaving")[1].startswith("leaving-00002"), "it is back")
