"""What the sample model reads of its environment and of a query.

Covered: defaults, each parameter, each refusal with its message, the sieve against a plain search.
Left out: doing the work, see test_model_server.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.demo.work import Work, WorkSettings, largest_prime_below, read_settings, read_work


def test_an_empty_environment_gives_a_server_that_is_ready_at_once() -> None:
    assert read_settings({}) == WorkSettings(port=8080, load=0.0, service=0.0, batch=0)


def test_every_variable_of_the_environment_is_read() -> None:
    environment = {"PORT": "9000", "LOAD_SECONDS": "2.5", "SERVICE_SECONDS": ".5", "BATCH_SIZE": "8"}
    assert read_settings(environment) == WorkSettings(port=9000, load=2.5, service=0.5, batch=8)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("PORT", ""),
        ("LOAD_SECONDS", "-1"),
        ("SERVICE_SECONDS", "1s"),
        ("BATCH_SIZE", "1.5"),
    ],
)
def test_a_bad_variable_is_named_with_its_value(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}='{value}' is not a (whole )?number from 0 to "):
        read_settings({name: value})


@pytest.mark.parametrize(
    ("query", "work"),
    [
        pytest.param("", Work(sleep=0.5), id="service time without sleep"),
        pytest.param("sleep=0", Work(sleep=0.0), id="sleep replaces the service time"),
        pytest.param("sleep=12.5", Work(sleep=0.0125), id="milliseconds"),
        pytest.param("sleep=1&sleep=2", Work(sleep=0.001), id="the first one counts"),
        pytest.param("prime=100&bloat=5", Work(sleep=0.5, prime=100, bloat=5), id="prime and bloat"),
        pytest.param("tokens=7&rate=3.5", Work(sleep=0.5, tokens=7, rate=3.5), id="tokens"),
    ],
)
def test_a_query_says_what_to_do(query: str, work: Work) -> None:
    assert read_work(query, service=0.5) == work


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sleep=", "sleep='' is not a number from 0 to 3600000"),
        ("sleep=nan", "sleep='nan' is not a number from 0 to 3600000"),
        ("sleep=3600001", "sleep='3600001' is not a number from 0 to 3600000"),
        ("bloat=1025", "bloat='1025' is not a whole number from 0 to 1024"),
        ("prime=1e3", "prime='1e3' is not a whole number from 0 to 10000000"),
        ("tokens=-1", "tokens='-1' is not a whole number from 0 to 100000"),
        ("rate=0", "rate='0' is not a number from 0.1 to 10000"),
        ("slep=1", "unknown parameter 'slep'; known are sleep, prime, bloat, tokens, rate"),
    ],
)
def test_a_bad_query_is_refused_in_one_clear_line(query: str, message: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  the whole message is compared below
        read_work(query, service=0.0)
    assert str(refusal.value) == message


@given(st.integers(-1, 3000))
def test_the_sieve_agrees_with_a_plain_search(limit: int) -> None:
    primes = [n for n in range(2, limit + 1) if all(n % divisor for divisor in range(2, int(n**0.5) + 1))]
    assert largest_prime_below(limit) == max(primes, default=0)
