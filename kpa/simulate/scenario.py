"""What is simulated beside the load: settings, and how pods of the service behave."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.autoscaler import AutoscalerConfig
from kpa.simulate.distributions import TimeDistribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One service under some settings.

    Attributes
    ----------
    config : AutoscalerConfig
    annotations : Mapping[str, str]
        Of the revision, with their prefix.
    container_concurrency : int
        Requests in flight that a pod works on at once; 0 is no limit.
    start_up : TimeDistribution
        From the decision to a pod that could answer.
    ready_lag : float
        Seconds from then until endpoints and autoscaler know of it.
    drain : float
        Seconds for which a stopped pod goes on at least, and costs: its queue-proxy waits for so long
        without a request.
    timeout : float
        Seconds that a request may take in all (`timeoutSeconds` of the service).
    replicas : int or None
        Ready at the beginning, of a revision that was served before; None is a new one, with as many as it
        starts with.
    seed : int
        Of everything that goes by chance.
    """

    config: AutoscalerConfig = field(default_factory=AutoscalerConfig)
    annotations: Mapping[str, str] = field(default_factory=dict)
    container_concurrency: int = 0
    start_up: TimeDistribution = field(default_factory=lambda: TimeDistribution(10.0))
    ready_lag: float = 0.0
    drain: float = 30.0
    timeout: float = 300.0
    replicas: int | None = None
    seed: int = 1
