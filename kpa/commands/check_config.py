"""`kpa check-config`: whether a ConfigMap is good, and what it says."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from config.autoscaler import AutoscalerConfig


def command(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="YAML with the ConfigMap config-autoscaler; - reads stdin.")
    ],
) -> None:
    """Check the ConfigMap config-autoscaler and show the settings that it leads to.

    Prints every bad key with its value and what is allowed, and exits with 1. Otherwise prints each key's
    value and whether it was set or is the default of the profile, and exits with 0; keys that nothing reads
    are named as warnings.
    """
    from config.autoscaler import AutoscalerConfig, unknown_keys
    from config.config_map import read_config_map
    from config.problems import ConfigError, DocumentError

    name = "stdin" if file == "-" else file
    try:
        data = read_config_map(_read(file))
        config = AutoscalerConfig.from_config_map(data)
    except OSError as error:
        _refuse(f"{name}: {error.strerror or error}")
    except DocumentError as error:
        _refuse(f"{name}: {error}")
    except ConfigError as error:
        _refuse(*map(str, error.problems))
    for unknown in unknown_keys(data):
        typer.echo(f"warning: {unknown}", err=True)
    _show(config, data)


def _read(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _refuse(*lines: str) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(1)


def _show(config: "AutoscalerConfig", data: Mapping[str, str]) -> None:
    """Print a line for each key; the width is fixed, so that a narrow terminal or a pipe cuts nothing off."""
    from rich.console import Console
    from rich.table import Table

    from config.autoscaler import SETTINGS

    table = Table("key", "value", "source", box=None, pad_edge=False, title_justify="left")
    table.title = f"profile {config.defaults}"
    for key, setting in SETTINGS.items():
        text = setting.kind.format(config.value_of(key))
        table.add_row(key, text, "set" if key in data else "default")
    Console(width=100, highlight=False).print(table)
