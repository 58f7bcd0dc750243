"""The rules once more, one revision at a time, in the plainest form: what the arrays are held against."""

import math
from dataclasses import dataclass, field

from config.resolve import RevisionSettings


def round6(value: float) -> float:
    """Round half away from zero."""
    return math.copysign(math.floor(abs(value) * 1e6 + 0.5), value) / 1e6


@dataclass
class NaiveWindow:
    """One window as a dictionary from second to sum."""

    window: int
    weighted: bool = False
    sums: dict[int, float] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None

    def record(self, second: int, value: float) -> None:
        if self.last is not None and second <= self.last - self.window:
            return
        if self.last is None or second - self.last >= self.window:
            self.sums, self.first = {}, second
        self.first = second if self.first is None else min(self.first, second)
        self.last = second if self.last is None else max(self.last, second)
        self.sums[second] = self.sums.get(second, 0.0) + value

    def empty(self, now: float) -> bool:
        return self.last is None or math.floor(now) - self.last > self.window

    def average(self, now: float) -> float:
        if self.last is None or self.first is None:
            return 0.0
        second = max(math.floor(now), self.last)
        if second - self.last >= self.window:
            return 0.0
        live = {at: value for at, value in self.sums.items() if second - self.window < at <= self.last}
        if self.weighted:
            steep = max(1 - 0.0001 ** (1 / self.window), 0.2)
            return sum(value * steep * (1 - steep) ** (second - at) for at, value in live.items())
        seconds = min(self.last - self.first + 1, self.window - (second - self.last))
        return sum(live.values()) / seconds

    def resize(self, window: int, now: float) -> None:
        if window == self.window:
            return
        if self.empty(now):
            self.sums, self.first, self.last = {}, None, None
        else:
            assert self.last is not None
            kept = self.last - min(window, self.window)
            self.sums = {at: value for at, value in self.sums.items() if at > kept}
            self.first = self.last - self.window + 1
        self.window = window


@dataclass
class NaiveDecider:
    """One revision's decision, step by step."""

    settings: RevisionSettings
    panic_since: float | None = None
    panic_pods: int = 0
    answers: dict[int, int] = field(default_factory=dict)
    ready_at: dict[int, list[int]] = field(default_factory=dict)

    def decide(self, stable: float, panic: float, ready_pods: int, now: float) -> tuple[int, int]:
        settings = self.settings
        ready = max(1, ready_pods)
        fewest, most = self._within_period(ready, now)
        upper = math.ceil(settings.max_scale_up_rate * fewest)
        lower = math.floor(most / settings.max_scale_down_rate) if settings.reachable else 0
        stable_asks = math.ceil(stable / settings.target_value)
        panic_asks = math.ceil(panic / settings.target_value)
        wants = min(max(stable_asks, lower), upper)
        panic_wants = min(max(panic_asks, lower), upper)
        if settings.activation_scale > 1:
            wants = max(wants, settings.activation_scale) if stable_asks > 0 else wants
            panic_wants = max(panic_wants, settings.activation_scale) if panic_asks > 0 else panic_wants
        if panic_asks / ready >= settings.panic_threshold:
            self.panic_since = now
        elif self.panic_since is not None and self.panic_since + settings.stable_window < now:
            self.panic_since, self.panic_pods = None, 0
        if self.panic_since is not None:
            wants = self.panic_pods = max(wants, panic_wants, self.panic_pods)
        return self._delayed(wants, now), self._excess(ready_pods, panic)

    def _within_period(self, ready: int, now: float) -> tuple[int, int]:
        period = math.ceil(self.settings.scale_rate_period)
        second = math.floor(now)
        self.ready_at.setdefault(second, []).append(ready)
        if period == 0:
            return ready, ready
        within = [pods for at, all_pods in self.ready_at.items() if second - period < at for pods in all_pods]
        return min(within), max(within)

    def _delayed(self, wants: int, now: float) -> int:
        steps = math.ceil(self.settings.scale_down_delay / 2)
        if steps == 0 or not self.settings.reachable:
            return wants
        step = math.floor(now / 2)
        self.answers[step] = max(wants, self.answers.get(step, 0))
        return max(value for at, value in self.answers.items() if step - steps < at)

    def _excess(self, ready_pods: int, panic: float) -> int:
        target = self.settings.target_burst_capacity
        if target <= 0:
            return int(target)
        return math.floor(ready_pods * self.settings.total_value - target - panic)
