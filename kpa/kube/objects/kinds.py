"""Where the kinds of objects that we use live in the Kubernetes API.

Source: `knative/serving config/core/300-resources`, `knative/networking config/serverlessservice.yaml`; the
plural of a scale target by `knative/pkg apis/kind2resource.go`.
"""

from kpa.kube.api.resource import Resource

__all__ = [
    "CONFIGMAPS",
    "DEPLOYMENTS",
    "ENDPOINTS",
    "ENDPOINTSLICES",
    "EVENTS",
    "LEASES",
    "METRICS",
    "PODAUTOSCALERS",
    "PODS",
    "SERVERLESSSERVICES",
    "SERVICES",
    "Resource",
    "api_version",
    "resource_of",
]

PODAUTOSCALERS = Resource("autoscaling.internal.knative.dev", "v1alpha1", "podautoscalers")
METRICS = Resource("autoscaling.internal.knative.dev", "v1alpha1", "metrics")
SERVERLESSSERVICES = Resource("networking.internal.knative.dev", "v1alpha1", "serverlessservices")
PODS = Resource("", "v1", "pods")
CONFIGMAPS = Resource("", "v1", "configmaps")
SERVICES = Resource("", "v1", "services")
ENDPOINTS = Resource("", "v1", "endpoints")
EVENTS = Resource("", "v1", "events")
DEPLOYMENTS = Resource("apps", "v1", "deployments")
LEASES = Resource("coordination.k8s.io", "v1", "leases")
ENDPOINTSLICES = Resource("discovery.k8s.io", "v1", "endpointslices")


def api_version(resource: Resource) -> str:
    """Return group and version as objects name them.

    Examples
    --------
    >>> api_version(PODS), api_version(DEPLOYMENTS)
    ('v1', 'apps/v1')
    """
    return f"{resource.group}/{resource.version}" if resource.group else resource.version


def resource_of(api_version: str, kind: str) -> Resource:
    """Return where objects live whose kind alone is known, by the peer's simple plural.

    Examples
    --------
    >>> resource_of("apps/v1", "Deployment") == DEPLOYMENTS
    True
    >>> resource_of("v1", "Glass").plural
    'glasses'
    """
    group, _, version = api_version.rpartition("/")
    plural = kind.lower()
    return Resource(group, version, plural + ("es" if plural.endswith("s") else "s"))
