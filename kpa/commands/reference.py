"""The reference of all commands, generated from the code: `docs/commands.md` ends with `markdown()`.

After a change, run `make reference`.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args

from typer.models import ArgumentInfo, OptionInfo


def markdown() -> str:
    """A section for each command: what it does, its arguments and its options."""
    from kpa.commands.app import app

    commands = [(info.name, info.callback) for info in app.registered_commands]
    return "\n".join(line for name, run in commands if name and run for line in _section(name, run))


def _section(name: str, run: Callable[..., Any]) -> Iterator[str]:
    yield f"## kpa {name}\n"
    for paragraph in inspect.cleandoc(run.__doc__ or "").split("\n\n"):
        yield f"{' '.join(paragraph.split())}\n"
    parameters = inspect.signature(run, eval_str=True).parameters.values()
    rows = [row for parameter in parameters if (row := _row(parameter))]
    if rows:
        yield "| Argument or option | Default | Meaning |\n| --- | --- | --- |"
        yield from rows
        yield ""


def _row(parameter: inspect.Parameter) -> str | None:
    """Lay out one parameter; None for a hidden one."""
    kind, *notes = get_args(parameter.annotation)
    info = next((note for note in notes if isinstance(note, ArgumentInfo | OptionInfo)), None)
    if info is None or info.hidden:
        return None
    if isinstance(info, OptionInfo):
        first = info.default if isinstance(info.default, str) else f"--{parameter.name.replace('_', '-')}"
        declared = dict.fromkeys([first, *(info.param_decls or ())])  # typer treats the first as a default
        shown = ", ".join(f"`{name}`" for name in declared)
        shown += "" if kind is bool else f" {info.metavar or ' or '.join(get_args(kind))}"  # choices
    else:
        shown = f"`{info.metavar}`"
    return f"| {shown} | {_default(parameter.default)} | {' '.join((info.help or '').split())} |"


def _default(value: object) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    return "" if value in (None, False, "", ()) or value == [] else f"`{value}`"


if __name__ == "__main__":
    print(markdown())
