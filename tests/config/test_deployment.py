"""`config-deployment`: what is read and what is refused."""

import pytest

from config.deployment import DeploymentConfig
from config.problems import ConfigError


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        ({}, 600.0),
        ({"progress-deadline": ""}, 600.0),
        ({"progress-deadline": "20s"}, 20.0),
        ({"progressDeadline": "30s"}, 30.0),
        ({"progress-deadline": "20s", "progressDeadline": "30s"}, 20.0),
        ({"progress-deadline": "1s", "queue-sidecar-image": "queue"}, 1.0),
    ],
    ids=["default", "empty", "set", "old name", "both names", "keys of others"],
)
def test_the_progress_deadline_is_read(data: dict[str, str], seconds: float) -> None:
    assert DeploymentConfig.from_config_map(data) == DeploymentConfig(seconds)


@pytest.mark.parametrize("text", ["0s", "-1s", "1.5s", "long", "10"])
def test_a_bad_progress_deadline_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        DeploymentConfig.from_config_map({"progress-deadline": text})
    assert str(refused.value) == (
        f"progress-deadline = {text!r}: must be a duration of whole seconds above 0"
    )


def test_the_texts_read_as_the_same() -> None:
    config = DeploymentConfig(90.0)
    assert config.texts() == {"progress-deadline": "1m30s"}
    assert DeploymentConfig.from_config_map(config.texts()) == config
