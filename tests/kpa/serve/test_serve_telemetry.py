"""What the application exports beside its reconciler. Left out: what series say (tests/kpa/telemetry)."""

from kpa.serve.app import ServeApp
from kpa.serve.options import ServeOptions
from tests.kpa.kube.memory_client import MemoryClient


async def test_what_became_of_forwarded_stats_is_exported() -> None:
    options = ServeOptions("autoscaler-1", "127.0.0.1", "knative-serving", "cluster.local")
    app = ServeApp(options, MemoryClient())  # type: ignore[arg-type]
    app._forwarder.outcomes["overflow"] += 7
    text = app._telemetry.render([]).body.decode()
    assert 'kpa_stats_forwarded_total{outcome="overflow"} 7.0' in text
