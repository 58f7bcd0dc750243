"""The requests of a simulation and what became of each: columns, a place a request."""

from kpa.simulate.load import Load

IN_FLIGHT, ANSWERED, REJECTED, TIMED_OUT = 0, 200, 503, 504
"""Outcomes; the last three are the HTTP status that the client gets."""

NEVER = float("nan")


class Requests:
    """All requests of a load.

    Attributes
    ----------
    arrived, service : list of float
        Seconds from the start; seconds of work.
    begun, ended : list of float
        When work on it began, and when the client had its answer; nan if never.
    status : list of int
    proxied, cold : list of bool
        It went through the activator; it came when no pod was ready.
    """

    __slots__ = ("arrived", "begun", "cold", "ended", "proxied", "service", "status")

    def __init__(self, load: Load) -> None:
        count = len(load.arrivals)
        self.arrived: list[float] = load.arrivals.tolist()
        self.service: list[float] = load.service.tolist()
        self.begun = [NEVER] * count
        self.ended = [NEVER] * count
        self.status = [IN_FLIGHT] * count
        self.proxied = [False] * count
        self.cold = [False] * count

    def __len__(self) -> int:
        return len(self.arrived)
