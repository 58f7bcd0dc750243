"""Scrapes one revision: its round, and the scrapers of its pods and of the service in front of them."""

import logging
from collections.abc import Callable, Sequence

from metrics.key import Key
from metrics.sampling.gap_filling import GapFiller
from metrics.sampling.pod_target import PodTarget
from metrics.sampling.round import Round
from metrics.sampling.routing import PodAccess, ScrapeRoute
from metrics.scraping.batch_scrape import BatchScrape
from metrics.scraping.pod_scraper import PodScraper
from metrics.scraping.service import ScrapeResources, ServiceScraper

_log = logging.getLogger(__name__)

PODS_ONLY = PodAccess()
"""No service in front of the pods."""


class RevisionScraper:
    """The round and the scrapers of one revision.

    Parameters
    ----------
    key : Key
        The revision.
    gap_filler : GapFiller
    resources : ScrapeResources
        Shared with other revisions.
    ended : callable (float)
        Called at the end of each round with the time at which it began.
    on_problem : callable
        Called when `round.failure_tracker.problem` changes.

    Attributes
    ----------
    round : Round
    pods : dict of PodScraper
        By target, whatever its age.
    """

    __slots__ = ("_access", "_key", "_resources", "_service", "pods", "round")

    def __init__(
        self,
        key: Key,
        gap_filler: GapFiller,
        resources: ScrapeResources,
        ended: Callable[[float], None],
        on_problem: Callable[[], None],
    ) -> None:
        self.round = Round(
            gap_filler, ended, ScrapeRoute(self._switched), on_problem, batch_scrape=self._batch_scrape
        )
        self.pods: dict[PodTarget, PodScraper] = {}
        self._key = key
        self._resources = resources
        self._access = PODS_ONLY
        self._service: ServiceScraper | None = None

    def follow(self, targets: Sequence[PodTarget], access: PodAccess, stable_window: float) -> None:
        """Set the ready pods and how to reach them; scrapers of pods that stay are kept.

        Parameters
        ----------
        targets : sequence of PodTarget
        access : PodAccess
        stable_window : float
            Seconds.
        """
        if access != self._access:
            self._replace_service(access)
        if self._service is not None:
            self._service.configure(frozenset(target.name for target in targets), stable_window)
        self._replace_pods(targets)

    def close(self) -> None:
        """Close all connections."""
        self._replace_pods(())
        self._replace_service(PODS_ONLY)

    def _replace_pods(self, targets: Sequence[PodTarget]) -> None:
        before, through = self.pods, self._access.through
        after: dict[PodTarget, PodScraper] = {}
        for target in targets:
            target = target._replace(through=through)
            ageless = target._replace(started_at=0.0)
            pod = (
                after.get(ageless)
                or before.pop(ageless, None)
                or PodScraper(target, self.round, self._resources.connector, self._resources.failures)
            )
            pod.target = target
            after[ageless] = pod
        self.pods = after
        self.round.set_pods(tuple(after.values()))
        for pod in before.values():
            pod.close()

    def _replace_service(self, access: PodAccess) -> None:
        before, self._access = self._service, access
        self._service = ServiceScraper(access, self.round, self._resources) if access.service else None
        self.round.route.configure(access, self._service)
        if before is not None:
            before.close()

    def _batch_scrape(self, sample: int) -> BatchScrape | None:
        """Return the batch scrape of a sample; None if a pod has no connection or is not at rest."""
        pods = tuple(self.pods.values())
        connections = []
        for pod in pods:
            if pod.connection is None or not pod.at_rest:
                return None
            connections.append(pod.connection)
        return BatchScrape(self.round, pods, connections, sample, self._resources.connector.poller)

    def _switched(self, by_service: bool) -> None:
        if by_service:
            service = self._access.service
            _log.info("%s: pods are behind a mesh; scraping service %s", self._key, service)
        else:
            _log.info("%s: mesh gone; scraping pods directly", self._key)
