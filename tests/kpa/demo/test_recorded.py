"""Reading recorded traces to play.

Covered: arrivals and work, the limit, a file that does not say what requests take. Left out: everything else
about such files (tests/kpa/simulate/test_tables).
"""

from pathlib import Path

import pytest

from kpa.demo.recorded import read_recorded
from kpa.demo.trace import Arrival, ArrivalTrace
from kpa.simulate.errors import InputError
from kpa.simulate.tables import TokenRates

RATES = TokenRates(prefill=1000, decode=50)
ROWS = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:15:46.6805900,500,100\n"
    "2023-11-16 18:15:50.9305900,0,0\r\n"
    "2023-11-16 18:15:50.9305900,1000,5\n"
)


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text, newline="")
    return path


@pytest.mark.parametrize(("seconds", "kept"), [(4.24, 1), (4.25, 3)])
def test_arrivals_and_work_are_read(tmp_path: Path, seconds: float, kept: int) -> None:
    text = ROWS + "2023-11-16 18:16:00,0,0\nnonsense\n"
    arrivals = (Arrival(0, 2.5), Arrival(4.25, 0), Arrival(4.25, 1.1))
    assert read_recorded(written(tmp_path, text), RATES, seconds) == ArrivalTrace(
        "trace.csv", arrivals[:kept]
    )


def test_a_file_must_say_what_requests_take(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trace\.csv: does not say what requests take; the first line must"):
        read_recorded(written(tmp_path, "time\n1\n"), RATES, 60)


def test_a_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.csv: No such file or directory$"):
        read_recorded(tmp_path / "none.csv", RATES, 60)
