"""Manifests of both kinds, what is refused and what is named as ignored. Left out: YAML itself."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from config.autoscaler import AutoscalerConfig
from kpa.local.manifests.documents import Documents, read_files
from kpa.local.manifests.fields import DocumentsError
from kpa.local.manifests.spec import EnvVar, Probe, ServiceSpec

A = "autoscaling.knative.dev/"
EXAMPLES = Path(__file__).parents[4] / "examples"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "services.yaml"


def read(path: Path, *documents: Any) -> Documents:
    path.write_text(yaml.safe_dump_all(documents))
    return read_files([path], AutoscalerConfig())


def problems(path: Path, *documents: Any) -> list[str]:
    with pytest.raises(DocumentsError) as caught:
        read(path, *documents)
    return [str(problem).removeprefix(f"{path}, ") for problem in caught.value.problems]


def knative(container: dict[str, Any] | None = None, annotations: Any = None, **pod: Any) -> dict[str, Any]:
    container = {"command": ["serve"]} | (container or {})
    template = {"metadata": {"annotations": annotations or {}}, "spec": {"containers": [container], **pod}}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "hello"},
        "spec": {"template": template},
    }


def kserve(annotations: dict[str, str] | None = None, **predictor: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "model", "annotations": annotations or {}},
        "spec": {"predictor": {"containers": [{"command": ["serve"]}]} | predictor},
    }


def only(documents: Documents) -> ServiceSpec:
    assert len(documents.services) == 1
    return documents.services[0]


def test_a_knative_service_gives_its_template(path: Path) -> None:
    container = {
        "name": "user-container",
        "command": ["python", "-m", "serve"],
        "args": ["--port", "$(PORT)"],
        "env": [
            {"name": "MODEL", "value": "m1"},
            {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "ports": [{"containerPort": 8080}],
        "workingDir": "/srv",
        "readinessProbe": {"httpGet": {"path": "/up", "port": 8080}, "periodSeconds": 2},
    }
    document = knative(
        container, {A + "min-scale": "2"}, containerConcurrency=10, timeoutSeconds=60, idleTimeoutSeconds=5
    )
    document["metadata"]["namespace"] = "shop"
    found = read(path, document)
    spec = only(found)
    assert (spec.namespace, spec.name, spec.configuration) == ("shop", "hello", "hello")
    assert spec.annotations == {A + "min-scale": "2"}
    template = spec.template
    assert template.argv == ("python", "-m", "serve", "--port", "$(PORT)")
    assert template.env == (EnvVar("MODEL", "m1"), EnvVar("ME", field_path="metadata.name"))
    assert (template.working_dir, template.container_concurrency) == ("/srv", 10)
    assert (template.timeout, template.idle_timeout, template.grace) == (60.0, 5.0, 30.0)
    handler = {"httpGet": {"path": "/up"}}
    assert template.probe == Probe(handler=handler, period=2, timeout=1, failure_threshold=3)
    assert found.warnings == ()


def test_what_is_left_out_has_knatives_defaults(path: Path) -> None:
    template = only(read(path, knative())).template
    assert (template.container_concurrency, template.timeout, template.probe) == (0, 300.0, Probe())


@pytest.mark.parametrize(
    ("predictor", "scaling"),
    [
        ({}, {"min-scale": "1"}),
        ({"minReplicas": 0}, {"min-scale": "0"}),
        ({"minReplicas": 2, "maxReplicas": 5}, {"min-scale": "2", "max-scale": "5"}),
        ({"maxReplicas": 0}, {"min-scale": "1"}),
        (
            {"scaleTarget": 7, "scaleMetric": "rps"},
            {"min-scale": "1", "target": "7", "metric": "rps"},
        ),
    ],
    ids=["default", "to zero", "bounds", "no maximum", "target and metric"],
)
def test_scaling_fields_of_an_inference_service_become_annotations(
    path: Path, predictor: dict[str, Any], scaling: dict[str, str]
) -> None:
    spec = only(read(path, kserve(**predictor)))
    assert spec.annotations == {A + name: value for name, value in scaling.items()}
    assert (spec.name, spec.configuration) == ("model", "model-predictor")


def test_fields_overrule_annotations_and_the_others_stay(path: Path) -> None:
    own = {A + "min-scale": "3", A + "target": "1", A + "window": "30s", A + "max-scale": "9"}
    spec = only(read(path, kserve(own, minReplicas=1, scaleTarget=4, timeout=20, containerConcurrency=8)))
    assert spec.annotations == own | {A + "min-scale": "1", A + "target": "4"}
    assert (spec.template.timeout, spec.template.container_concurrency) == (20.0, 8)


def test_a_model_with_a_command_runs(path: Path) -> None:
    document = kserve(model={"modelFormat": {"name": "onnx"}, "command": ["serve"], "args": ["-v"]})
    del document["spec"]["predictor"]["containers"]
    found = read(path, document)
    assert only(found).template.argv == ("serve", "-v")
    assert "spec.predictor.model.modelFormat" in found.warnings[0]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            kserve(minReplicas=-1),
            "document 1: spec.predictor.minReplicas: -1 is not allowed; "
            "allowed: a whole number of at least 0",
        ),
        (
            kserve(minReplicas=3, maxReplicas=2),
            "document 1: spec.predictor.minReplicas: 3 is not allowed; "
            "allowed: at most maxReplicas, which is 2",
        ),
        (
            kserve(scaleMetric="cpu"),
            'document 1: spec.predictor.scaleMetric: "cpu" is not allowed; allowed: concurrency or rps '
            "(cpu and memory are scaled by other autoscalers)",
        ),
        (
            knative({"command": None}),
            "document 1: spec.template.spec.containers[0].command: a process needs `command`: "
            "kpa local runs commands of this machine, it does not pull images",
        ),
        (
            knative({"env": [{"name": "A", "value": 8}]}),
            "document 1: spec.template.spec.containers[0].env[0].value: 8 is not allowed; "
            "allowed: a text (put it in quotes)",
        ),
        (
            knative({"env": [{"name": "PORT", "value": "8"}]}),
            'document 1: spec.template.spec.containers[0].env[0].name: "PORT" is not allowed; '
            "allowed: any name but PORT, K_SERVICE, K_CONFIGURATION, K_REVISION, "
            "which are set for each replica",
        ),
        (
            knative({"command": "serve now"}),
            'document 1: spec.template.spec.containers[0].command: "serve now" is not allowed; '
            "allowed: a list of texts (put numbers in quotes)",
        ),
        (
            knative(containerConcurrency=True),
            "document 1: spec.template.spec.containerConcurrency: True is not allowed; "
            "allowed: a whole number of at least 0",
        ),
        (
            knative(annotations={A + "window": "5s"}),
            "document 1: autoscaling.knative.dev/window = '5s': must be",
        ),
        (
            knative(annotations={A + "min-scale": 2}),
            "document 1: spec.template.metadata.annotations.autoscaling.knative.dev/min-scale: "
            "2 is not allowed; allowed: a text (put it in quotes)",
        ),
        (
            knative() | {"metadata": {"name": "hello", "annotations": {A + "min-scale": "1"}}},
            "document 1: metadata.annotations.autoscaling.knative.dev/min-scale: "
            "belongs under spec.template.metadata.annotations",
        ),
        (
            knative() | {"metadata": {"name": "Hello"}},
            'document 1: metadata.name: "Hello" is not allowed; '
            "allowed: lower-case letters, digits and dashes",
        ),
        (
            knative() | {"apiVersion": "serving.knative.dev/v1beta1"},
            'document 1: apiVersion: "serving.knative.dev/v1beta1" is not allowed; '
            "allowed: serving.knative.dev/v1",
        ),
        (knative() | {"spec": {}}, "document 1: spec.template.spec: is missing; it holds the containers"),
        ("text", 'document 1: is "text", not a mapping with apiVersion and kind'),
    ],
)
def test_a_refusal_names_document_path_value_and_what_is_allowed(
    path: Path, document: Any, message: str
) -> None:
    (problem,) = problems(path, document)
    assert problem.startswith(message)


def test_all_problems_of_all_documents_are_named_at_once(path: Path) -> None:
    found = problems(path, knative({"command": None}, containerConcurrency=-1), kserve(scaleTarget=0), 7)
    assert [line.split(":")[0] for line in found] == ["document 1"] * 2 + ["document 2", "document 3"]


def test_a_file_that_is_no_yaml_and_one_that_is_missing_are_named(path: Path, tmp_path: Path) -> None:
    path.write_text("a: [")
    with pytest.raises(DocumentsError) as caught:
        read_files([path, tmp_path / "none.yaml"], AutoscalerConfig())
    first, second = map(str, caught.value.problems)
    assert first.startswith(f"{path}: cannot be read: ")
    assert "line 1" in first
    assert second.startswith(f"{tmp_path}/none.yaml: cannot be read: ")


def test_what_a_process_cannot_honour_is_named_in_one_warning(path: Path) -> None:
    document = knative({"image": "x", "resources": {}}, nodeSelector={}, volumes=[])
    document["spec"]["traffic"] = [{"percent": 50}, {"percent": 50}]
    (warning,) = read(path, document).warnings
    assert warning == (
        f"{path}: default/hello: a process cannot honour spec.template.spec.containers[0].image, "
        "spec.template.spec.containers[0].resources, spec.template.spec.nodeSelector, "
        "spec.template.spec.volumes, spec.traffic"
    )


def test_plain_traffic_to_the_latest_revision_is_no_reason_to_warn(path: Path) -> None:
    document = knative()
    document["spec"]["traffic"] = [{"latestRevision": True, "percent": 100}]
    assert read(path, document).warnings == ()


def test_an_unknown_autoscaling_annotation_is_named_with_the_nearest_known_one(path: Path) -> None:
    (warning,) = read(path, knative(annotations={A + "min-scal": "1"})).warnings
    assert "did you mean autoscaling.knative.dev/min-scale?" in warning


def test_the_container_with_ports_is_the_one_that_runs(path: Path) -> None:
    sidecar = {"name": "log", "command": ["log"]}
    document = knative()
    document["spec"]["template"]["spec"]["containers"] = [sidecar, {"command": ["serve"], "ports": [{}]}]
    found = read(path, document)
    assert only(found).template.argv == ("serve",)
    assert "spec.template.spec.containers[0]" in found.warnings[0]


def test_other_kinds_are_skipped_and_named(path: Path) -> None:
    found = read(
        path, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}, None, knative()
    )
    assert only(found).name == "hello"
    assert found.warnings == (
        f"{path}, document 1: v1 Namespace shop is skipped; kpa local runs services only",
    )


def test_two_services_of_one_name_are_refused_across_files(path: Path, tmp_path: Path) -> None:
    path.write_text(yaml.safe_dump(knative()))
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(knative()))
    with pytest.raises(DocumentsError, match=f'"hello" exists already in {path}'):
        read_files([path, other], AutoscalerConfig())


def test_one_name_in_two_namespaces_is_two_services(path: Path) -> None:
    other = knative()
    other["metadata"] = {"name": "hello", "namespace": "shop"}
    assert len(read(path, knative(), other).services) == 2


def test_the_clusters_settings_bound_annotations(path: Path) -> None:
    path.write_text(yaml.safe_dump(knative(annotations={A + "initial-scale": "0"})))
    with pytest.raises(DocumentsError):
        read_files([path], AutoscalerConfig())
    allowing = AutoscalerConfig.from_config_map({"allow-zero-initial-scale": "true"})
    assert len(read_files([path], allowing).services) == 1


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_read_without_a_warning(example: Path) -> None:
    found = read_files([example], AutoscalerConfig())
    assert len(found.services) == 1
    assert found.warnings == ()
