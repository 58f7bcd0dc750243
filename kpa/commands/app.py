"""The command `kpa`."""

import typer

from kpa.commands import (
    activator,
    check_config,
    demo,
    explain,
    local,
    queue_proxy,
    replay,
    serve,
    simulate,
    status,
    tune,
)

app = typer.Typer(
    name="kpa",
    help="A pod autoscaler that replaces Knative's and follows the load of slow, expensive pods.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich cuts long option names
    pretty_exceptions_enable=False,
)
app.command("local")(local.command)
app.command("demo")(demo.command)
app.command("serve")(serve.command)
app.command("status")(status.command)
app.command("explain")(explain.command)
app.command("check-config")(check_config.command)
app.command("replay")(replay.command)
app.command("simulate")(simulate.command)
app.command("tune")(tune.command)
app.command("queue-proxy")(queue_proxy.command)
app.command("activator")(activator.command)
