"""The subcommands of `kpa`, one module each. typer runs the function `command` of a module."""
