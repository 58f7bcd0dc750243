"""What the command line gives, read into values."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from config.autoscaler import AutoscalerConfig
from config.durations import format_duration, parse_duration
from kpa.simulate.distributions import parse_times
from kpa.simulate.errors import InputError
from kpa.simulate.load import DEFAULT_SERVICE, Load, Reading, read_load
from kpa.simulate.moments import parse_moment
from kpa.simulate.prometheus import RangeQuery
from kpa.simulate.scenario import Scenario
from kpa.simulate.settings import SimulationSettings, read_annotations, read_settings
from kpa.simulate.tables import TokenRates


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationOptions:
    """Texts and numbers of the options that simulations share; the names are the options'."""

    config: str | None
    assignments: Sequence[str]
    annotations: Sequence[str]
    container_concurrency: int
    service_time: str | None
    prefill_rate: float
    decode_rate: float
    start_up_time: str
    ready_lag: str
    drain_time: str
    timeout: str
    replicas: int | None
    unit: Literal["rps", "concurrency"]
    even: bool
    query: str | None
    start: str | None
    end: str | None
    step: str
    seed: int

    def settings(self) -> SimulationSettings:
        """Read the ConfigMap and what is set over it.

        Raises
        ------
        InputError
            They cannot be used.
        """
        return read_settings(self.config, self.assignments)

    def scenario(self, config: AutoscalerConfig) -> Scenario:
        """Return what is simulated.

        Raises
        ------
        InputError
            An option cannot be used.
        """
        return Scenario(
            config=config,
            annotations=read_annotations(self.annotations, config),
            container_concurrency=self.container_concurrency,
            start_up=parse_times(self.start_up_time, "--start-up-time"),
            ready_lag=read_seconds(self.ready_lag, "--ready-lag"),
            drain=read_seconds(self.drain_time, "--drain-time"),
            timeout=read_seconds(self.timeout, "--timeout", above=0.0),
            replicas=self.replicas,
            seed=self.seed,
        )

    def read(self, source: str) -> Load:
        """Read a load.

        Raises
        ------
        InputError
            It cannot be used.
        """
        service = None if self.service_time is None else parse_times(self.service_time, "--service-time")
        reading = Reading(
            service=service,
            rates=TokenRates(self.prefill_rate, self.decode_rate),
            unit=self.unit,
            even=self.even,
            query=self._range_query(),
        )
        load = read_load(source, reading, self.seed)
        if not len(load.arrivals):
            raise InputError(f"{source}: holds no request")
        return load

    def assumptions(self, load: Load, scenario: Scenario) -> dict[str, str]:
        """Say what the numbers of a simulation rest on."""
        mean = float(load.service.mean())
        count, flying = len(load.arrivals), f"{load.concurrency:.3g} in flight on average"
        known_after = format_duration(scenario.ready_lag)
        return {
            "load": f"{load.name}: {count} requests, {flying}",
            "service time": self.service_time or f"mean {mean:.3g} s ({_source_of_service(load, mean)})",
            "start-up time": f"{scenario.start_up}, and {known_after} until it is known",
            "drain time": format_duration(scenario.drain),
            "container concurrency": str(scenario.container_concurrency or "no limit"),
            "settings": f"profile {scenario.config.defaults}; {_given(self)}",
            "seed": str(scenario.seed),
        }

    def _range_query(self) -> RangeQuery | None:
        if self.query is None:
            return None
        if self.start is None or self.end is None:
            raise InputError("--query needs --start and --end")
        start, end = _moment(self.start, "--start"), _moment(self.end, "--end")
        if end <= start:
            raise InputError(f"--end {self.end!r} must be later than --start {self.start!r}")
        return RangeQuery(self.query, start, end, read_seconds(self.step, "--step", above=0.0))


def _source_of_service(load: Load, mean: float) -> str:
    fixed = mean == DEFAULT_SERVICE.mean and bool((load.service == mean).all())
    return "assumed; --service-time says otherwise" if fixed else "of the load"


def _given(options: SimulationOptions) -> str:
    given = [options.config or "no ConfigMap", *options.assignments, *options.annotations]
    return ", ".join(given)


def read_seconds(text: str, option: str, above: float = -1.0) -> float:
    """Read a duration up to a day.

    Raises
    ------
    InputError
        The text is no duration, or not more than `above` seconds.
    """
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = -1.0
    if not above < seconds <= 86_400 or seconds < 0:
        least = "more than 0s and" if above >= 0 else ""
        raise InputError(
            f"{option} {text!r} must be a duration such as 90s, {least} at most 24h".replace("  ", " ")
        )
    return seconds


def _moment(text: str, option: str) -> float:
    try:
        return parse_moment(text)
    except ValueError:
        raise InputError(
            f"{option} {text!r} must be a date such as 2026-08-21T10:00:00Z, or unix seconds"
        ) from None


def check_file(path: Path | None, option: str) -> None:
    """See to it that a file can be written before time is spent on what goes into it.

    Raises
    ------
    InputError
        Its folder does not exist, or it is a folder itself.
    """
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise InputError(f"{option} {path}: cannot be written; must be a file in a folder that exists")


def check_picture(path: Path | None, option: str) -> None:
    """See to it that a picture can be drawn and written.

    Raises
    ------
    InputError
        It cannot be written, or what draws is not installed.
    """
    if path is not None and find_spec("matplotlib") is None:
        raise InputError(f"{option} needs matplotlib, which pip install 'kpa[simulate]' brings")
    check_file(path, option)
