"""Reading recorded traces.

Covered: columns by name, times, work from tokens, the limit, every refusal with file and line.
"""

from pathlib import Path

import pytest

from kpa.demo.azure import TokenRates, TraceError, read_azure_trace
from kpa.demo.trace import Arrival

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
RATES = TokenRates(prefill=1000, decode=50)
ROWS = (
    HEADER
    + "2023-11-16 18:15:46.6805900,500,100\n"
    + "2023-11-16 18:15:50.9305900,0,0\r\n"
    + "2023-11-16 18:15:50.9305900,1000,5"
)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "trace.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_arrivals_and_work_are_read(tmp_path: Path) -> None:
    trace = read_azure_trace(written(tmp_path, ROWS), RATES, seconds=60)
    assert trace.name == "trace.csv"
    assert trace.arrivals == (Arrival(0, 2.5), Arrival(4.25, 0), Arrival(4.25, 1.1))


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    text = "\ufeffGeneratedTokens,model,ContextTokens,TIMESTAMP\n100,x,500,2024-05-10T00:00:00+00:00\n"
    assert read_azure_trace(written(tmp_path, text), RATES, 60).arrivals == (Arrival(0, 2.5),)


def test_times_with_and_without_a_zone_mix(tmp_path: Path) -> None:
    text = HEADER + "2024-05-10T02:00:00+02:00,0,0\n2024-05-10 00:00:01,0,0\n"
    assert [arrival.at for arrival in read_azure_trace(written(tmp_path, text), RATES, 60).arrivals] == [0, 1]


@pytest.mark.parametrize(("seconds", "kept"), [(4.24, 1), (4.25, 3)])
def test_nothing_beyond_the_limit_is_read(tmp_path: Path, seconds: float, kept: int) -> None:
    text = ROWS + "\n2023-11-16 18:16:00,nonsense,0\n"
    assert len(read_azure_trace(written(tmp_path, text), RATES, seconds).arrivals) == kept


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "",
            ": no column TIMESTAMP, ContextTokens, GeneratedTokens; "
            "the first line must name TIMESTAMP, ContextTokens, GeneratedTokens",
            id="empty",
        ),
        pytest.param(
            "TIMESTAMP,ContextTokens\n",
            ": no column GeneratedTokens; the first line must name TIMESTAMP, ContextTokens, GeneratedTokens",
            id="missing column",
        ),
        pytest.param(HEADER, ": holds no request", id="header only"),
        pytest.param(
            HEADER + "2023-11-16 18:15:46,1,1\n2023-11-16 18:15:45,1,1\n",
            ", line 3: TIMESTAMP 2023-11-16 18:15:45 is earlier than the line before",
            id="out of order",
        ),
        pytest.param(
            HEADER + "noon,1,1\n",
            ", line 2: TIMESTAMP 'noon' is no time such as 2023-11-16 18:15:46.680",
            id="no time",
        ),
        pytest.param(
            HEADER + "2023-11-16 18:15:46,many,1\n",
            ", line 2: ContextTokens 'many' is no whole number from 0 to 10000000",
            id="no number",
        ),
        pytest.param(
            HEADER + "2023-11-16 18:15:46,1,-1\n",
            ", line 2: GeneratedTokens '-1' is no whole number from 0 to 10000000",
            id="negative",
        ),
        pytest.param(
            HEADER + "2023-11-16 18:15:46,1\n",
            ", line 2: GeneratedTokens None is no whole number from 0 to 10000000",
            id="short line",
        ),
        pytest.param(b"\xff\xfe\x00", ": not a text file in UTF-8", id="no text"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str | bytes, problem: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TraceError) as refusal:
        read_azure_trace(path, RATES, 60)
    assert str(refusal.value) == f"{path}{problem}"


def test_a_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"none.csv: No such file or directory$"):
        read_azure_trace(tmp_path / "none.csv", RATES, 60)
