"""The command `kpa`."""

import typer

from kpa.commands import replay

app = typer.Typer(
    name="kpa",
    help="A pod autoscaler that takes the place of Knative's.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("replay")(replay.command)


@app.callback()
def _main() -> None:
    """Keep subcommands even while there is only one."""


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
