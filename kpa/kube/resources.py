"""Where kinds of objects live in the Kubernetes API.

Source: `knative/serving config/core/300-resources`, `knative/networking config/serverlessservice.yaml`; the
plural of a scale target by `knative/pkg apis/kind2resource.go`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects, as the API's paths name it.

    Attributes
    ----------
    group, version : str
        The group of `v1` is empty.
    plural : str
    namespaced : bool
    """

    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As objects name it: `apps/v1`, or `v1` alone.

        Examples
        --------
        >>> PODS.api_version, DEPLOYMENTS.api_version
        ('v1', 'apps/v1')
        """
        return f"{self.group}/{self.version}" if self.group else self.version


PODAUTOSCALERS = Resource("autoscaling.internal.knative.dev", "v1alpha1", "podautoscalers")
METRICS = Resource("autoscaling.internal.knative.dev", "v1alpha1", "metrics")
SERVERLESSSERVICES = Resource("networking.internal.knative.dev", "v1alpha1", "serverlessservices")
PODS = Resource("", "v1", "pods")
CONFIGMAPS = Resource("", "v1", "configmaps")
SERVICES = Resource("", "v1", "services")
EVENTS = Resource("", "v1", "events")
DEPLOYMENTS = Resource("apps", "v1", "deployments")
LEASES = Resource("coordination.k8s.io", "v1", "leases")
ENDPOINTSLICES = Resource("discovery.k8s.io", "v1", "endpointslices")


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
