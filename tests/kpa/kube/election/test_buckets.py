"""The spread of keys over buckets, as Knative's own code gave it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.kube.election.buckets import BucketSet, bucket_names, fnv1a
from metrics.key import Key

OWNERS = [
    (1, "ns-1/rev-08277", "autoscaler-bucket-00-of-01"),
    (2, "ns-3/rev-02697", "autoscaler-bucket-00-of-02"),
    (2, "ns-0/rev-11067", "autoscaler-bucket-00-of-02"),
    (3, "ns-6/rev-09734", "autoscaler-bucket-01-of-03"),
    (3, "ns-2/rev-05270", "autoscaler-bucket-00-of-03"),
    (3, "ns-4/rev-12059", "autoscaler-bucket-01-of-03"),
    (10, "ns-6/rev-00403", "autoscaler-bucket-08-of-10"),
    (10, "ns-1/rev-01116", "autoscaler-bucket-07-of-10"),
    (10, "ns-4/rev-02511", "autoscaler-bucket-04-of-10"),
    (10, "ns-5/rev-01240", "autoscaler-bucket-09-of-10"),
]
"""Buckets, key, owner: from `knative.dev/pkg/hash`, of whose answers to 2,000 keys none differed."""


@pytest.mark.parametrize(("count", "key", "owner"), OWNERS)
def test_a_key_lies_in_the_bucket_that_the_peer_puts_it_in(count: int, key: str, owner: str) -> None:
    assert BucketSet(bucket_names(count)).owner(Key(*key.split("/"))) == owner


@pytest.mark.parametrize("count", range(1, 11))
def test_no_two_buckets_that_knative_may_have_ever_share_a_place_on_the_circle(count: int) -> None:
    """Knative's code moves one of two that do: here there is nothing to move."""
    assert len({fnv1a(name) % 2048 for name in bucket_names(count)}) == count


def test_the_hash_is_fnv_1a() -> None:
    assert fnv1a("") == 0xCBF29CE484222325
    assert fnv1a("foobar") == 0x85944171F73967E8


keys = st.builds(Key, st.text("abc-09", min_size=1, max_size=9), st.text("abc-09", min_size=1, max_size=9))


@given(keys, st.integers(1, 12))
def test_every_key_has_one_owner_whoever_asks(key: Key, count: int) -> None:
    buckets = BucketSet(bucket_names(count))
    assert buckets.owner(key) in buckets.names
    assert buckets.owner(key) == BucketSet(reversed(bucket_names(count))).owner(key)


@pytest.mark.parametrize("count", [11, 64, 1000])
def test_more_buckets_than_knative_takes_share_all_keys_evenly(count: int) -> None:
    buckets = BucketSet(bucket_names(count))
    found = Counter(
        buckets.owner(Key(f"ns-{n % 50}", f"hello-{n // 50:05d}-00001")) for n in range(100 * count)
    )
    assert set(found) == set(bucket_names(count))
    assert max(found.values()) <= 160, "some 100 in each"


@given(keys, st.integers(11, 1000))
def test_a_key_costs_one_hash_however_many_buckets_there_are(key: Key, count: int) -> None:
    names = sorted(bucket_names(count))
    assert BucketSet(names).owner(key) == names[fnv1a(str(key)) % count]
