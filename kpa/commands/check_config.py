"""`kpa check-config`: checks ConfigMaps and shows the resulting settings."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from config.readers import Config


def command(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="YAML with ConfigMaps of Knative; - reads stdin.",
        ),
    ],
) -> None:
    """Check ConfigMaps of Knative and show the resulting settings.

    The command checks config-autoscaler, config-logging and config-network. It prints every bad key with its
    value and the allowed values. Without errors it prints the value of each key, and whether it was set or is
    the default of the profile. Unknown keys are warnings.

    Exit code 1: a ConfigMap has errors.
    """
    from config.autoscaler import NAME
    from config.config_map import find_config_maps, read_strings
    from config.problems import ConfigError, DocumentError
    from config.readers import READERS
    from kpa.runtime.files import read_given

    source = "stdin" if file == "-" else file
    try:
        found = find_config_maps(read_given(file), list(READERS))
    except OSError as error:
        _refuse(f"{source}: {error.strerror or error}")
    except DocumentError as error:
        _refuse(f"{source}: {error}")
    problems: list[str] = []
    read: dict[str, tuple[Mapping[str, str], Config]] = {}
    for name, data in found.items():
        try:
            strings = read_strings(name, data)
            read[name] = strings, READERS[name].from_config_map(strings)
        except ConfigError as error:
            problems += [str(each) if name == NAME else f"{name}: {each}" for each in error.problems]
    if problems:
        _refuse(*problems)
    for name, (texts, config) in read.items():
        for warning in config.warnings(texts):
            typer.echo(f"warning: {warning}", err=True)
        _show(name, texts, config)


def _refuse(*lines: str) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(1)


def _show(name: str, data: Mapping[str, str], config: "Config") -> None:
    """Print a line for each key. The width is fixed, so a narrow terminal or a pipe cuts nothing."""
    from rich.console import Console
    from rich.table import Table

    table = Table("key", "value", "source", box=None, pad_edge=False, title_justify="left")
    table.title, values, others = _values(name, config)
    for key, text in values.items():
        table.add_row(key, text, "set" if key in data or text != others.get(key, text) else "default")
    Console(width=100, highlight=False).print(table)


def _values(name: str, config: "Config") -> tuple[str, dict[str, str], dict[str, str]]:
    """Return the title of the table, the text of each key, and the defaults of nested keys."""
    from config.autoscaler import AutoscalerConfig

    if isinstance(config, AutoscalerConfig):
        return f"profile {config.defaults}", config.texts(), {}
    return name, config.texts(), type(config)().texts()
