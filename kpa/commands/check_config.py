"""`kpa check-config`: checks ConfigMaps and shows the resulting settings."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from config.readers import Config


def command(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="YAML with ConfigMaps of Knative or a KnativeServing; - reads stdin.",
        ),
    ],
) -> None:
    """Check ConfigMaps of Knative and show the resulting settings.

    The command checks config-autoscaler, config-deployment, config-network, config-logging,
    config-observability and config-leader-election, or the names in CONFIG_*_NAME. They may be several
    documents, items of a List, or the spec.config of a KnativeServing. It prints every bad key with its value
    and the allowed values. Without errors it prints the value of each key, and whether it was set or is the
    default. Unknown keys are warnings.

    Exit code 1: a ConfigMap has errors or an unknown name, or is there twice.
    """
    from config.config_map import find_config_maps
    from config.problems import DocumentError
    from config.readers import READERS, Names
    from kpa.runtime.files import read_given

    source = "stdin" if file == "-" else file
    readers = {**READERS, **Names.from_environment(os.environ).readers()}
    try:
        found = find_config_maps(read_given(file), readers)
    except OSError as error:
        _refuse(f"{source}: {error.strerror or error}")
    except DocumentError as error:
        _refuse(f"{source}: {error}")
    problems = [f"{source}: {problem}" for problem in found.problems]
    if not found.maps and not problems:
        problems.append(f"{source}: no ConfigMap {' or '.join(readers)}: found {found.content}")
    configs = {name: _read(name, readers[name], data, problems) for name, data in found.maps.items()}
    if problems:
        _refuse(*problems)
    for other in found.others:
        typer.echo(f"warning: {other}: not checked, kpa does not read it", err=True)
    for name, (texts, config) in configs.items():
        for warning in config.warnings(texts):
            typer.echo(f"warning: {name}: {warning}", err=True)
        _show(name, texts, config)


def _read(
    name: str, reader: "type[Config]", data: Any, problems: list[str]
) -> "tuple[Mapping[str, str], Config]":
    """Read a ConfigMap, or add what is wrong with it to the problems."""
    from config.config_map import read_strings
    from config.problems import ConfigError, DocumentError

    texts: Mapping[str, str] = {}
    try:
        texts = read_strings(name, reader, data)
        return texts, reader.from_config_map(texts)
    except DocumentError as error:
        problems.append(str(error))
    except ConfigError as error:
        problems += [f"{name}: {each}" for each in error.problems]
    return texts, reader()


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
