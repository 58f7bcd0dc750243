"""An open-loop load player: requests leave when the trace says so, answered earlier ones or not."""

import asyncio
import ipaddress
import time
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp

from kpa.demo.model_server import LOADED_AT
from kpa.demo.trace import Arrival

BOUND = 1000
"""Requests in flight at once; each holds a connection, and 1024 open files are a common limit."""


class RequestOutcome(NamedTuple):
    """What became of one request.

    `due` and `done` are seconds on the player's clock. `status` is 0 when there was no answer; `error`
    says why. `cold` is true when the replica that answered was not ready yet when the request was due.
    """

    due: float
    done: float
    status: int
    cold: bool = False
    error: str = ""

    @property
    def latency(self) -> float:
        """Seconds from the due time to the last byte, so a player that lags behind is not hidden."""
        return self.done - self.due


class Player:
    """Plays arrivals against a server on this machine and keeps what became of each.

    Parameters
    ----------
    url : str
        Where requests go; only this machine is allowed.
    host : str
        The Host header that names the service.
    bound : int
        Requests in flight at once. An arrival beyond is not sent and counts as failed: waiting would turn the
        open loop into a closed one, which hides overload.
    timeout : float
        Seconds for one request.

    Attributes
    ----------
    sent : int
        Arrivals that were due so far.
    in_flight : int
    outcomes : list of RequestOutcome
        In order of completion.

    Raises
    ------
    ValueError
        The address is not of this machine.
    """

    def __init__(self, url: str, host: str, *, bound: int = BOUND, timeout: float = 120.0) -> None:
        check_loopback(url)
        self._url, self._host, self._bound = url, host, bound
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._started = 0.0
        self.sent = 0
        self.in_flight = 0
        self.outcomes: list[RequestOutcome] = []

    @property
    def now(self) -> float:
        """Seconds since the start of the trace, 0 before."""
        return asyncio.get_running_loop().time() - self._started if self._started else 0.0

    async def play(self, arrivals: Iterable[Arrival]) -> None:
        """Send each arrival at its time; return when all are answered."""
        self._started = asyncio.get_running_loop().time()
        connector = aiohttp.TCPConnector(limit=0)
        headers = {"Host": self._host}
        async with (
            aiohttp.ClientSession(connector=connector, timeout=self._timeout, headers=headers) as session,
            asyncio.TaskGroup() as group,
        ):
            for arrival in arrivals:
                await asyncio.sleep(max(0.0, arrival.at - self.now))
                self.sent += 1
                if self.in_flight < self._bound:
                    self.in_flight += 1
                    group.create_task(self._send(session, arrival))
                else:
                    text = f"not sent: {self._bound} requests are in flight, the player's bound"
                    self.outcomes.append(RequestOutcome(arrival.at, self.now, 0, error=text))

    async def _send(self, session: aiohttp.ClientSession, arrival: Arrival) -> None:
        due_unix = time.time() - (self.now - arrival.at)
        status, cold, error = 0, False, ""
        try:
            async with session.get(self._url, params={"sleep": f"{arrival.service * 1000:.1f}"}) as answer:
                body = await answer.read()
                status = answer.status
                cold = float(answer.headers.get(LOADED_AT, 0)) > due_unix
                error = "" if status == 200 else f"{status}: {body[:200].decode(errors='replace').strip()}"
        except TimeoutError:
            status, error = 0, f"no answer within {self._timeout.total:g} s"
        except (aiohttp.ClientError, OSError) as problem:
            status, error = 0, f"{type(problem).__name__}: {problem}"
        finally:
            self.in_flight -= 1
        self.outcomes.append(RequestOutcome(arrival.at, self.now, status, cold, error))


def check_loopback(url: str) -> None:
    """Refuse an address of another machine.

    Raises
    ------
    ValueError
        The host is neither `localhost` nor a loopback address.
    """
    host = urlsplit(url).hostname or ""
    try:
        allowed = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        allowed = False
    if not allowed:
        raise ValueError(
            f"{host or url!r} is not this machine; the player sends to 127.0.0.1, ::1, localhost only"
        )
