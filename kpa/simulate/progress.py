"""A bar on standard error for what takes longer than a moment."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(what: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show a bar while a block runs, in a terminal only; yields what is to be told how far it is."""
    console = Console(stderr=True)
    with Progress(
        TextColumn(what), BarColumn(), TimeRemainingColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
