"""The program `kpa`.

The data plane starts while a request waits, so its two commands run without the imports of the others:
0.13 s instead of 0.25 s. `kpa.commands.activator` serves the help of `kpa activator` alone.
"""

import sys


def main() -> None:
    """Run the command line."""
    arguments = sys.argv[1:]
    if arguments == ["queue-proxy"]:  # all its settings are in the environment
        from kpa.dataplane.queue_proxy.__main__ import main as queue_proxy

        sys.exit(queue_proxy())
    if arguments[:1] == ["activator"] and "--help" not in arguments:
        from kpa.dataplane.activator.__main__ import main as activator

        sys.exit(activator(arguments[1:]))
    from kpa.commands.app import app

    app()
