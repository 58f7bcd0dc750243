"""Knative's `serving.knative.dev/v1 Service`, read as a service of this machine."""

from kpa.local.manifests.container import choose_container, read_template
from kpa.local.manifests.fields import Fields
from kpa.local.manifests.spec import ServiceSpec

PREFIX = "autoscaling.knative.dev/"


def read_service(document: Fields, namespace: str, name: str) -> ServiceSpec | None:
    """Read one Service; problems and what a process cannot honour go to the document's report.

    Autoscaling annotations belong to the revision template; on the Service they are refused, as by Knative's
    webhook.

    Returns
    -------
    ServiceSpec or None
        None when so much is missing that nothing can be said of a service.
    """
    metadata = document.section("metadata")
    own = metadata.text_map("annotations") if metadata else {}
    for key in own:
        if key.startswith(PREFIX):
            document.report.say(
                f"metadata.annotations.{key}", "belongs under spec.template.metadata.annotations"
            )
    spec = document.section("spec")
    template = spec.section("template") if spec else None
    pod = template.section("spec") if template else None
    if spec is None or template is None or pod is None:
        document.report.say("spec.template.spec", "is missing; it holds the containers")
        return None
    annotations = _template_annotations(template)
    container = choose_container(pod)
    if container is None:
        return None
    read = read_template(pod, container, "timeoutSeconds")
    pod.skip("enableServiceLinks")
    pod.ignore_unread()
    _read_traffic(spec)
    spec.ignore_unread()
    return ServiceSpec(namespace, name, name, annotations, read, document.report.file)


def _template_annotations(template: Fields) -> dict[str, str]:
    metadata = template.section("metadata")
    if metadata is None:
        return {}
    if "name" in metadata:
        template.report.ignored.append(metadata.at("name"))
    return metadata.text_map("annotations")


def _read_traffic(spec: Fields) -> None:
    """Take the default (all to the latest revision) silently; a split is named as ignored."""
    targets = spec.sections("traffic")
    plain = (
        len(targets) == 1 and targets[0].raw("latestRevision") and targets[0].raw("percent") in (None, 100)
    )
    if targets and not plain:
        spec.report.ignored.append(spec.at("traffic"))
