"""The route to a revision's load: its pods, or the service in front of them.

    mode        asked                                                       a mesh in between
    disabled    pods                                                        is not expected
    enabled     the service                                                 is expected
    auto        pods, until all of them answer only 502 or 503;             is detected,
                then the service, in the same second; after its first       repeatedly
                response without pods, as long as it answers

A pod that hangs, refuses, or answers anything else is no sign of a mesh. While the service is scraped, some
pods are tried from time to time; if all of these answer, the mesh is gone. Where a mesh lets requests pass
to single pods (pod addressability), `auto` does not need the service.

Source: `knative/serving pkg/autoscaler/metrics/stats_scraper.go` (`Scrape`). There the result lasts
until the next reconcile of the Metric, and pods are not tried before that.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from config.network import MeshMode
from metrics.sampling.failures import Failure, ScrapeProblem, pods_problem, service_problem
from metrics.sampling.pod_target import Scraper
from metrics.sampling.sample_size import sample_size

_RETRY = 60
"""Rounds after which pods are tried while the service answers."""


class PodAccess(NamedTuple):
    """Ways to a revision's pods.

    Attributes
    ----------
    service : str
        The one in front of them, `name.namespace`; empty if there is none.
    mode : "auto", "enabled" or "disabled"
        ConfigMap key `mesh-compatibility-mode`.
    addressable : bool
        ConfigMap key `enable-mesh-pod-addressability`.
    port : int
        Of `/metrics` at the service.
    """

    service: str = ""
    mode: MeshMode = "auto"
    addressable: bool = False
    port: int = 9090

    @property
    def through(self) -> str:
        """The service that requests to single pods name; empty if pods are not addressed through a mesh."""
        return self.service if self.addressable else ""


class ScrapeRoute:
    """Chooses for each round of one revision between its pods and the service.

    Parameters
    ----------
    switched : callable (bool)
        Called with True when the service is scraped from now on, with False when pods are again.

    Attributes
    ----------
    by_service : bool
        A mesh was found, and the service answers.
    """

    __slots__ = ("_access", "_due", "_fell_back", "_service", "_switched", "_tried", "by_service")

    def __init__(self, switched: Callable[[bool], None] = lambda by_service: None) -> None:
        self.by_service = False
        self._access = PodAccess()
        self._service: Scraper | None = None
        self._switched = switched
        self._fell_back = False  # the service was asked instead of pods
        self._due = 0  # rounds until pods are tried
        self._tried: Sequence[Scraper] = ()

    def configure(self, access: PodAccess, service: Scraper | None) -> None:
        """Set the possible routes; an earlier detection is forgotten."""
        self.by_service = self._fell_back = False
        self._access, self._service = access, service

    @property
    def is_plain(self) -> bool:
        """Pods are scraped, and the service, if there is one, is unused and has nothing outstanding."""
        service = self._service
        if service is None:
            return True
        at_rest = service.failure is None and service.late is None and not service.waiting
        return at_rest and not (self._access.mode == "enabled" or self.by_service or self._fell_back)

    def choose(self, pods: Sequence[Scraper]) -> Sequence[Scraper]:
        """Return what the next round asks: these ready pods, or the service alone."""
        service = self._service
        if service is None:
            return pods
        if not pods or not (self._access.mode == "enabled" or self._found_mesh(service, pods)):
            service.rest()
            return pods
        self._try_some(pods, service)
        return (service,)

    def instead(self, pods: Sequence[Scraper]) -> Scraper | None:
        """Return the service to ask instead of ready pods that all failed; None if no mesh explains that."""
        if self._access.mode != "auto" or self._access.addressable:
            return None
        if any(pod.failure is not Failure.UNAVAILABLE for pod in pods):
            return None
        self._fell_back = True
        return self._service

    def problem(self, pods: Sequence[Scraper]) -> ScrapeProblem:
        """Return why these ready pods, or the service in their place, gave no load."""
        service = self._service
        if service is not None and (self._access.mode == "enabled" or self._fell_back):
            return service_problem(service.failure or Failure.TIMEOUT, sample_size(len(pods)))
        return pods_problem(pod.failure for pod in pods if pod.failure is not None)

    def _found_mesh(self, service: Scraper, pods: Sequence[Scraper]) -> bool:
        """Detect a mesh, or its end, from the responses so far."""
        if self.by_service:
            if self._tried and all(pod.trusted for pod in self._tried):
                self._switch(False)
        elif self._fell_back:
            if service.trusted:
                self._switch(True)
            else:
                self._fell_back = not any(pod.trusted and pod.failure is None for pod in pods)
        return self.by_service

    def _switch(self, by_service: bool) -> None:
        self.by_service = self._fell_back = by_service
        self._due, self._tried = _RETRY, ()
        self._switched(by_service)

    def _try_some(self, pods: Sequence[Scraper], service: Scraper) -> None:
        """Ask some pods beside the service, from time to time and whenever it fails; the others rest."""
        self._due -= 1
        chosen: Sequence[Scraper] = ()
        if self.by_service and (self._due <= 0 or service.failure is not None):
            self._due = _RETRY
            chosen = random.sample(pods, sample_size(len(pods)))
            self._tried = [pod for pod in chosen if pod.ask()]
        for pod in pods:
            if pod not in chosen:
                pod.rest()
