"""What stops `kpa local` before it starts; how it runs is shown in tests/e2e."""

from pathlib import Path

import pytest

from kpa.local.app import LocalApp
from kpa.local.options import LocalError, LocalOptions


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: [", "not YAML"),
        ("kind: Service", "no ConfigMap config-autoscaler: found Service"),
        ("{kind: ConfigMap, data: {stable-window: soon}}", "stable-window = 'soon': must be"),
    ],
    ids=["no yaml", "no map", "a bad key"],
)
async def test_settings_that_cannot_be_used_say_why(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(LocalError, match=f"{file}: {said}"):
        LocalApp(LocalOptions((), file))
