"""`config-leader-election`: what is read and what is refused."""

import pytest

from config.leader_election import LeaderElectionConfig, Timing
from config.problems import ConfigError


@pytest.mark.parametrize(
    ("data", "buckets", "timing"),
    [
        ({}, 1, Timing(60.0, 40.0, 10.0)),
        (
            {"buckets": "3", "lease-duration": "15s", "renew-deadline": "10s", "retry-period": "2s"},
            *(3, Timing(15.0, 10.0, 2.0)),
        ),
        (
            {"leaseDuration": "15s", "renewDeadline": "10s", "retryPeriod": "2s"},
            *(1, Timing(15.0, 10.0, 2.0)),
        ),
        ({"retry-period": "3s", "retryPeriod": "2s"}, 1, Timing(60.0, 40.0, 3.0)),
        ({"buckets": "1000"}, 1000, Timing(60.0, 40.0, 10.0)),
    ],
    ids=["defaults", "set", "old names", "both names", "more buckets than Knative takes"],
)
def test_a_leader_election_is_read(data: dict[str, str], buckets: int, timing: Timing) -> None:
    config = LeaderElectionConfig.from_config_map(data)
    assert config == LeaderElectionConfig(buckets, timing)
    assert LeaderElectionConfig.from_config_map(config.texts()) == config


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        ({"buckets": "0"}, ["buckets = '0': must be a whole number from 1 to 1000"]),
        ({"buckets": "1001"}, ["buckets = '1001': must be a whole number from 1 to 1000"]),
        ({"buckets": "²"}, ["buckets = '²': must be a whole number from 1 to 1000"]),
        ({"buckets": "many"}, ["buckets = 'many': must be a whole number from 1 to 1000"]),
        ({"buckets": ""}, ["buckets = '': must be a whole number from 1 to 1000"]),
        ({"lease-duration": "0s"}, ["lease-duration = '0s': must be a duration above 0"]),
        ({"retry-period": "2"}, ["retry-period = '2': must be a duration above 0"]),
        ({"lease-duration": "40s"}, ["lease-duration = '40s': must be more than renew-deadline (40s)"]),
        ({"renew-deadline": "10s"}, ["renew-deadline = '10s': must be more than retry-period (10s)"]),
        (
            {"buckets": "0", "leaseDuration": "soon", "retryPeriod": "-1s"},
            [
                "buckets = '0': must be a whole number from 1 to 1000",
                "lease-duration = 'soon': must be a duration above 0",
                "retry-period = '-1s': must be a duration above 0",
            ],
        ),
    ],
)
def test_a_bad_leader_election_is_refused(data: dict[str, str], messages: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        LeaderElectionConfig.from_config_map(data)
    assert str(refused.value).splitlines() == messages
