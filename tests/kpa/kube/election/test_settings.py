"""What the ConfigMap of the leader election says, and what is refused."""

from typing import Any

import pytest

from kpa.kube.election.lease import Timing
from kpa.kube.election.settings import read_leader_election


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({}, (1, Timing(60.0, 40.0, 10.0))),
        (
            {"buckets": "3", "lease-duration": "15s", "renew-deadline": "10s", "retry-period": "2s"},
            (3, Timing(15.0, 10.0, 2.0)),
        ),
        (
            {"leaseDuration": "15s", "renewDeadline": "10s", "retryPeriod": "2s"},
            (1, Timing(15.0, 10.0, 2.0)),
        ),
        ({"buckets": "1000"}, (1000, Timing(60.0, 40.0, 10.0))),
    ],
    ids=["defaults", "set", "old names", "more buckets than Knative takes"],
)
def test_a_leader_election_is_read(data: dict[str, str], found: Any) -> None:
    assert read_leader_election(data) == found


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"buckets": "0"}, "buckets must be a whole number from 1 to 1000, not '0'"),
        ({"buckets": "1001"}, "buckets must be a whole number from 1 to 1000, not '1001'"),
        ({"buckets": "²"}, "buckets must be a whole number"),
        ({"buckets": "many"}, "buckets must be a whole number"),
        ({"lease-duration": "0s"}, "lease-duration must be a duration above 0, not '0s'"),
        ({"retry-period": "2"}, "retry-period must be a duration above 0, not '2'"),
        ({"lease-duration": "5s"}, "lease-duration must be above renew-deadline.*lease-duration 5s"),
        ({"renew-deadline": "10s"}, "above retry-period"),
    ],
    ids=[
        "no bucket",
        "too many",
        "odd digit",
        "word",
        "no duration",
        "no unit",
        "short lease",
        "short deadline",
    ],
)
def test_a_bad_leader_election_is_refused(data: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_leader_election(data)
