"""The way of requests: where each waits, which pod works on it, and who counts it.

Through the activator they wait in one queue until a pod has room; past it they go to the ready pods in turn
and wait in the queue-proxy. Source: `kpa/activator/throttle`, `kpa/queue_proxy/server`.
"""

import random
from collections import OrderedDict
from collections.abc import Callable

from kpa.dataplane.activator.load import RequestLoad
from kpa.dataplane.activator.throttle import QUEUE_DEPTH
from kpa.simulate.events import EventQueue
from kpa.simulate.pod import SimulatedPod
from kpa.simulate.requests import ANSWERED, REJECTED, TIMED_OUT, Requests
from metrics.key import Key
from metrics.stat import StatMessage

KEY = Key("default", "simulated")
"""The one revision."""


class Traffic:
    """Requests on their way.

    Parameters
    ----------
    requests : Requests
    events : EventQueue
    timeout : float
        Seconds that a request may take.
    seed : int
    announce : callable (float, StatMessage)
        Told of the first request to an idle revision, at once.

    Attributes
    ----------
    proxied : bool
        The activator is in the path; without ready pods it always is.
    load : RequestLoad
        What the activator counts.
    """

    def __init__(
        self,
        requests: Requests,
        events: EventQueue,
        timeout: float,
        seed: int,
        announce: Callable[[float, StatMessage], None],
    ) -> None:
        self.proxied = True
        self.load = RequestLoad("activator")
        self.drained: Callable[[float, SimulatedPod], None] = lambda now, pod: None
        self._requests = requests
        self._events = events
        self._timeout = timeout
        self._random = random.Random(seed)
        self._announce = announce
        self._waiting: OrderedDict[int, None] = OrderedDict()
        self._pods: list[SimulatedPod] = []
        self._turn = 0

    def use(self, pods: list[SimulatedPod], now: float) -> None:
        """Send requests to these pods from now on; those that wait go where there is room."""
        self._pods = pods
        self._serve_waiting(now)

    def arrive(self, now: float, request: int) -> None:
        """Take a request."""
        pods = self._pods
        self._requests.cold[request] = not pods
        if pods and not self.proxied:
            self._turn += 1
            self._offer(now, request, pods[self._turn % len(pods)])
            return
        self._requests.proxied[request] = True
        announced = self.load.arrived(KEY, now)
        if announced is not None:
            self._announce(now, announced)
        pod = None if self._waiting else self._pick()
        if pod is not None:
            self._give(now, request, pod)
        elif len(self._waiting) >= QUEUE_DEPTH:
            self._end(now, request, REJECTED)
        else:
            self._waiting[request] = None
            self._events.add(now + self._timeout, self._give_up_at_activator, request)

    def _pick(self) -> SimulatedPod | None:
        """Choose a pod with room as the activator does: the least loaded, or the better of two."""
        pods = self._pods
        if not pods:
            return None
        if not pods[0].concurrency:
            one, other = self._random.choice(pods), self._random.choice(pods)
            return one if one.given <= other.given else other
        best, least = None, pods[0].concurrency
        for pod in pods:
            if pod.given < least:
                best, least = pod, pod.given
        return best

    def _give(self, now: float, request: int, pod: SimulatedPod) -> None:
        pod.given += 1
        self._offer(now, request, pod)

    def _offer(self, now: float, request: int, pod: SimulatedPod) -> None:
        """Let a queue-proxy work on a request, or keep it, or turn it away."""
        pod.stats.arrive(now, proxied=self._requests.proxied[request])
        if pod.has_turn:
            self._begin(now, request, pod)
        elif pod.is_full:
            self._leave(now, request, pod, REJECTED)
        else:
            pod.queue[request] = None
            deadline = self._requests.arrived[request] + self._timeout
            self._events.add(deadline, self._give_up_in_pod, (request, pod))

    def _begin(self, now: float, request: int, pod: SimulatedPod) -> None:
        pod.working += 1
        self._requests.begun[request] = now
        end = now + self._requests.service[request]
        deadline = self._requests.arrived[request] + self._timeout
        if end <= deadline:
            self._events.add(end, self._answer, (request, pod))
        else:
            self._events.add(deadline, self._cut_off, (request, pod))

    def _answer(self, now: float, place: tuple[int, SimulatedPod]) -> None:
        self._work_ended(now, *place, ANSWERED)

    def _cut_off(self, now: float, place: tuple[int, SimulatedPod]) -> None:
        self._work_ended(now, *place, TIMED_OUT)

    def _work_ended(self, now: float, request: int, pod: SimulatedPod, status: int) -> None:
        pod.working -= 1
        if pod.queue:
            self._begin(now, pod.queue.popitem(last=False)[0], pod)
        self._leave(now, request, pod, status)

    def _leave(self, now: float, request: int, pod: SimulatedPod, status: int) -> None:
        """A request leaves a pod; another one may take its place."""
        proxied = self._requests.proxied[request]
        pod.stats.leave(now, proxied=proxied)
        self._end(now, request, status)
        if proxied:
            pod.given -= 1
            if self._waiting:
                self._serve_waiting(now)
        if pod.terminating and pod.idle:
            self.drained(now, pod)

    def _serve_waiting(self, now: float) -> None:
        while self._waiting:
            pod = self._pick()
            if pod is None:
                return
            request, _ = self._waiting.popitem(last=False)
            self._give(now, request, pod)

    def _give_up_at_activator(self, now: float, request: int) -> None:
        if request in self._waiting:
            del self._waiting[request]
            self._end(now, request, TIMED_OUT)

    def _give_up_in_pod(self, now: float, place: tuple[int, SimulatedPod]) -> None:
        request, pod = place
        if request in pod.queue:
            del pod.queue[request]
            self._leave(now, request, pod, TIMED_OUT)

    def _end(self, now: float, request: int, status: int) -> None:
        requests = self._requests
        requests.status[request] = status
        requests.ended[request] = now
        if requests.proxied[request]:
            self.load.left(KEY, now)
