"""What a pod's scraper makes of answers; connections and failures are in test_collector and test_scraper."""

from tests.metrics.rig import Rig

A = ("default", "a")


async def test_what_another_pod_says_at_an_address_is_no_load_of_this_one(rig: Rig) -> None:
    mine, other = await rig.pod(3.0), await rig.pod(90.0)
    mine.stat = mine.stat._replace(pod_name="pod-0")
    other.stat = other.stat._replace(pod_name="of-another-revision")
    rig.watch(A, [mine, other])
    await rig.seconds(0, 3)
    assert rig.records[A] == [(second, 6.0) for second in range(4)], "one stands for both"
    assert rig.collector.failures["other_pod"] >= 2
    assert len(other.open) == 1
    other.stat = other.stat._replace(pod_name="pod-1")
    await rig.seconds(4, 12)
    assert rig.records[A][-1] == (12, 93.0), "the address is ours again"
