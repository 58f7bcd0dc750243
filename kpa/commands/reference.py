"""The reference of all commands, made from the code: `docs/commands.md` ends with `markdown()`.

After a change, `make reference` puts it there.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin

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
    """Lay out one parameter; None for one that is not shown."""
    kind, *notes = get_args(parameter.annotation)
    info = next((note for note in notes if isinstance(note, ArgumentInfo | OptionInfo)), None)
    if info is None or info.hidden:
        return None
    if isinstance(info, OptionInfo):
        first = info.default if isinstance(info.default, str) else f"--{parameter.name.replace('_', '-')}"
        declared = dict.fromkeys([first, *(info.param_decls or ())])  # typer takes the first for a default
        told = ", ".join(f"`{name}`" for name in declared) + ("" if kind is bool else f" {_noun(kind)}")
    else:
        told = f"`{info.metavar or parameter.name.upper()}`"
    return f"| {told} | {_default(parameter.default)} | {' '.join((info.help or '').split())} |"


def _noun(kind: Any) -> str:
    inner = [each for each in get_args(kind) if each is not type(None)]
    if get_origin(kind) is not None and inner:
        return _noun(inner[0]) if not isinstance(inner[0], str) else " or ".join(map(str, inner))
    name = str(kind.__name__)
    return {"str": "text", "int": "number", "float": "number", "Path": "file"}.get(name, name)


def _default(value: object) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    return "" if value in (None, False, "", ()) or value == [] else f"`{value}`"


if __name__ == "__main__":
    print(markdown())
