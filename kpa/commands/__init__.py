"""The subcommands of `kpa`, a module each; a module's function `command` is what typer runs."""
