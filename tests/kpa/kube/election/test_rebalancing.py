"""The shares of replicas: whatever has happened, they become level, by few moves, and stay so."""

from hypothesis import given
from hypothesis import strategies as st

from kpa.kube.election.rebalancing import assign, donor, evens_out

fleets = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(0, 12), min_size=1, max_size=6)


def spread(led: dict[str, int]) -> int:
    return max(led.values()) - min(led.values())


@given(fleets, st.integers(0, 60))
def test_free_buckets_make_a_level_fleet_no_less_level(led: dict[str, int], count: int) -> None:
    free = [f"bucket-{number}" for number in range(count)]
    found = assign(free, led)
    assert list(found) == free
    after = led | {replica: led[replica] + list(found.values()).count(replica) for replica in led}
    assert spread(after) <= max(spread(led), 1)
    filled = [replica for replica in led if after[replica] > led[replica]]
    assert all(after[replica] - 1 <= min(after.values()) for replica in filled), "the least first"


@given(fleets, st.integers(1, 30), st.integers(0, 30))
def test_a_bucket_keeps_its_turn_when_others_become_free_after_it(
    led: dict[str, int], first: int, more: int
) -> None:
    names = [f"bucket-{number}" for number in range(first + more)]
    before, after = assign(names[:first], led), assign(names, led)
    assert before.items() <= after.items()
    taken = led | {replica: led[replica] + list(before.values()).count(replica) for replica in led}
    assert assign(names[first:], taken) == {name: after[name] for name in names[first:]}, "taken or not"


@given(fleets, st.data())
def test_asking_makes_every_fleet_level_in_the_fewest_moves_and_then_nobody_asks(
    led: dict[str, int], data: st.DataObject
) -> None:
    """In any order, all replicas known."""
    share, rest = divmod(sum(led.values()), len(led))
    most_first = sorted(led.values(), reverse=True)
    goals = [share + (number < rest) for number in range(len(led))]
    fewest = sum(max(0, count - goal) for count, goal in zip(most_first, goals, strict=True))
    moves = 0
    while askers := sorted(replica for replica in led if donor(led, replica) is not None):
        asker = data.draw(st.sampled_from(askers))
        giver = donor(led, asker)
        assert giver is not None
        assert evens_out(led, giver, asker)
        led[giver] -= 1
        led[asker] += 1
        moves += 1
    assert spread(led) <= 1
    assert moves == fewest


@given(fleets)
def test_a_newcomer_asks_the_fullest_or_nobody(led: dict[str, int]) -> None:
    giver = donor(led, "newcomer")
    assert (giver is None) == (max(led.values()) < 2)
    assert giver is None or led[giver] == max(led.values())
