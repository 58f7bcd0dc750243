"""Manifests: YAML files with Knative Services and KServe InferenceServices, read into service specs."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from config.annotations import unknown_annotations, validate
from config.autoscaler import AutoscalerConfig
from kpa.local.manifests.fields import DocumentsError, Fields, ManifestProblem, Report, shown
from kpa.local.manifests.knative import read_service
from kpa.local.manifests.kserve import read_inference_service
from kpa.local.manifests.spec import ServiceSpec

Reader = Callable[[Fields, str, str], ServiceSpec | None]

READERS: Mapping[tuple[str, str], Reader] = {
    ("serving.knative.dev/v1", "Service"): read_service,
    ("serving.kserve.io/v1beta1", "InferenceService"): read_inference_service,
}
NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
"""DNS-1035 label: the name becomes part of host names."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Services of some files and what the user should know of them."""

    services: tuple[ServiceSpec, ...]
    warnings: tuple[str, ...] = ()


def read_files(paths: Iterable[Path], config: AutoscalerConfig) -> Documents:
    """Read manifests, several documents a file.

    Documents of other kinds are skipped and named in a warning; what a process cannot honour is named in one
    warning a service.

    Parameters
    ----------
    paths : iterable of Path
    config : AutoscalerConfig
        Bounds some annotations, as it does in Knative's webhook.

    Raises
    ------
    DocumentsError
        A file cannot be read, or a document cannot be used; it lists every problem of every file.
    """
    services: list[ServiceSpec] = []
    warnings: list[str] = []
    problems: list[ManifestProblem] = []
    for path in paths:
        for report, service, warning in _read_file(path, config):
            problems += report.problems
            warnings += [warning] if warning else []
            if service is None:
                continue
            problems += _clash(service, services, report)
            services.append(service)
    if problems:
        raise DocumentsError(tuple(problems))
    return Documents(tuple(services), tuple(warnings))


def _read_file(path: Path, config: AutoscalerConfig) -> Iterable[tuple[Report, ServiceSpec | None, str]]:
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        report = Report(str(path), 0)
        report.say("", f"cannot be read: {' '.join(str(error).split())}")
        yield report, None, ""
        return
    for number, document in enumerate(documents, 1):
        if document is not None:
            report = Report(str(path), number)
            yield report, *_read_document(document, report, config)


def _read_document(
    document: object, report: Report, config: AutoscalerConfig
) -> tuple[ServiceSpec | None, str]:
    """One document as a service and a warning, either of which may be missing."""
    if not isinstance(document, dict):
        report.say("", f"is {shown(document)}, not a mapping with apiVersion and kind")
        return None, ""
    fields = Fields(document, "", report)
    kind = (fields.text("apiVersion"), fields.text("kind"))
    reader = READERS.get(kind)
    metadata = fields.section("metadata")
    if reader is None:
        return None, _unknown_kind(kind, metadata, report)
    name, namespace = _name(metadata, report)
    service = reader(fields, namespace, name)
    warnings = [_ignored(report)]
    if service is not None:
        for problem in validate(service.annotations, config):
            report.say("", str(problem))
        warnings += map(str, unknown_annotations(service.annotations))
    text = "; ".join(filter(None, warnings))
    return service, f"{report.file}: {namespace}/{name}: {text}" if text else ""


def _unknown_kind(kind: tuple[str, str], metadata: Fields | None, report: Report) -> str:
    """Warn of a kind that kpa does not read; an unknown version of a kind that it reads is a problem."""
    known = [
        version
        for version, name in READERS
        if name == kind[1] and version.split("/")[0] == kind[0].split("/")[0]
    ]
    if known:
        report.refuse("apiVersion", kind[0], known[0])
        return ""
    name = metadata.text("name") if metadata else ""
    what = " ".join(part for part in (*kind, name) if part)
    return f"{report.file}, document {report.document}: {what} is skipped; kpa local runs services only"


def _name(metadata: Fields | None, report: Report) -> tuple[str, str]:
    name = metadata.text("name") if metadata else ""
    namespace = metadata.text("namespace", "default") if metadata else "default"
    for path, value in (("metadata.name", name), ("metadata.namespace", namespace)):
        if not NAME.fullmatch(value):
            report.refuse(path, value, "lower-case letters, digits and dashes, a letter first, at most 63")
    return name, namespace


def _ignored(report: Report) -> str:
    return f"a process cannot honour {', '.join(report.ignored)}" if report.ignored else ""


def _clash(service: ServiceSpec, others: Iterable[ServiceSpec], report: Report) -> list[ManifestProblem]:
    """Problem of a service whose revisions would have the names of another's."""
    for other in others:
        if (other.namespace, other.configuration) == (service.namespace, service.configuration):
            what = f"{shown(service.name)} exists already in {other.source} (namespace {service.namespace})"
            return [ManifestProblem(report.file, report.document, "metadata.name", what)]
    return []
