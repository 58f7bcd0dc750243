"""A place where simulated pods run: implements `kpa.controller.cluster.Cluster` for one revision."""

import numpy as np

from kpa.controller.cluster import Listener, Outcome
from kpa.controller.revisions import Pod, Revision
from kpa.simulate.events import EventQueue
from kpa.simulate.pod import SimulatedPod
from kpa.simulate.scenario import Scenario
from kpa.simulate.traffic import KEY, Traffic
from metrics.key import Key
from scaler.rules.scale_to_zero import Activity, LifecycleState


class SimulatedCluster:
    """Starts and stops pods as the reconciler asks, each in its own time.

    Parameters
    ----------
    scenario : Scenario
    events : EventQueue
    traffic : Traffic
        Told which pods take requests, and whether the activator is in the path.
    epoch : float
        Unix time of the start.
    replicas : int
        Pods that are ready then.

    Attributes
    ----------
    now : float
        Seconds from the start; the model moves it.
    pods : list of SimulatedPod
        All that exist, oldest first: starting, ready and stopping ones.
    replicas, requested : int
        Asked for; requested by the last plan (-1 is unknown).
    changed : bool
        The reconciler was notified since this was last set to False.
    """

    def __init__(
        self, scenario: Scenario, events: EventQueue, traffic: Traffic, epoch: float, replicas: int
    ) -> None:
        self.now = 0.0
        self.pods: list[SimulatedPod] = []
        self.replicas = replicas
        self.requested = -1
        self.changed = False
        self._scenario = scenario
        self._events = events
        self._traffic = traffic
        self._epoch = epoch
        self._started = 0
        self._random = np.random.default_rng([scenario.seed, 2])
        self._listener: Listener = lambda key, revision: None
        traffic.drained = self._drained
        for _ in range(replicas):
            pod = self._new_pod()
            pod.ready = True
        traffic.use(self.usable(), 0.0)

    def watch(self, listener: Listener) -> None:
        """Tell `listener` of the revision now and at every change of it."""
        self._listener = listener
        served_before = self._scenario.replicas and self.replicas
        self._tell(LifecycleState(Activity.ACTIVE, self._epoch, initialized=True) if served_before else None)

    def carry_out(self, key: Key, outcome: Outcome) -> None:
        """Start or stop pods, and set the path of requests, as an outcome asks."""
        plan = outcome.plan
        self.requested = plan.requested
        if plan.proxied is not None:
            self._traffic.proxied = plan.proxied
        if plan.replicas is not None and plan.replicas != self.replicas:
            self.replicas = plan.replicas
            self._scale(plan.replicas)

    def usable(self) -> list[SimulatedPod]:
        """Return the pods that take requests."""
        return [pod for pod in self.pods if pod.usable]

    def report(self, now: float, pod: SimulatedPod) -> None:
        """Let a queue-proxy end a second of its stats, and the next one in turn."""
        if pod in self.pods:
            pod.stats.report(now)
            self._events.add(now + 1.0, self.report, pod)

    def _scale(self, replicas: int) -> None:
        active = [pod for pod in self.pods if not pod.terminating]
        for _ in range(replicas - len(active)):
            self._start()
        # Kubernetes ends pods that are not ready first, then the youngest (controller_utils.go)
        by_rank = sorted(active, key=lambda pod: (pod.ready, -pod.started_at))
        for pod in by_rank[: max(0, len(active) - replicas)]:
            self._stop(pod)
        self._traffic.use(self.usable(), self.now)
        self._tell()

    def _new_pod(self) -> SimulatedPod:
        self._started += 1
        name, concurrency = f"pod-{self._started}", self._scenario.container_concurrency
        pod = SimulatedPod(name, self.now, self._epoch, concurrency)
        self.pods.append(pod)
        self._events.add(self.now + float(self._random.uniform(0.0, 1.0)), self.report, pod)
        return pod

    def _start(self) -> None:
        pod = self._new_pod()
        takes = float(self._scenario.start_up.sample(self._random, 1)[0]) + self._scenario.ready_lag
        self._events.add(self.now + takes, self._become_ready, pod)

    def _become_ready(self, now: float, pod: SimulatedPod) -> None:
        if not pod.terminating:
            pod.ready = True
            self._pods_changed(now)

    def _stop(self, pod: SimulatedPod) -> None:
        """Take a pod out of the path; it goes once it has drained, at once if it never was ready."""
        pod.terminating, pod.terminating_since = True, self.now
        stays = self._scenario.drain if pod.ready else 0.0
        self._events.add(self.now + stays, self._drained, pod)

    def _drained(self, now: float, pod: SimulatedPod) -> None:
        """Let a stopping pod go, if its time has come and no request is left in it."""
        over = not pod.ready or now >= pod.terminating_since + self._scenario.drain
        if over and pod.idle and pod in self.pods:
            self.pods.remove(pod)
            self._pods_changed(now)

    def _pods_changed(self, now: float) -> None:
        self.now = now
        self._traffic.use(self.usable(), now)
        self._tell()

    def _tell(self, lifecycle: LifecycleState | None = None) -> None:
        self.changed = True
        self._listener(
            KEY,
            Revision(
                key=KEY,
                service=KEY.name,
                configuration=KEY.name,
                annotations=self._scenario.annotations,
                container_concurrency=self._scenario.container_concurrency,
                replicas=self.replicas,
                pods=tuple(self._seen(pod) for pod in self.pods),
                lifecycle=lifecycle,
            ),
        )

    def _seen(self, pod: SimulatedPod) -> Pod:
        """Show a pod as the autoscaler sees it."""
        target = pod.target
        return Pod(target.name, target.host, target.port, 0, pod.ready, target.started_at, pod.terminating)
