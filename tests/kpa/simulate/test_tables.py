"""Requests from comma-separated values.

Covered: columns by name, both kinds of times, work by time and by tokens, every refusal by file and line.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from kpa.simulate.errors import InputError
from kpa.simulate.tables import Row, TokenRates, read_table

RATES = TokenRates(prefill=1000, decode=50)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "load.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        pytest.param("time,service_time\n5,0.5\n7.25,2\n", [Row(0, 0.5), Row(2.25, 2)], id="seconds"),
        pytest.param(
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,500,100\n"
            "2023-11-16 18:15:50.9305900,0,0",
            [Row(0, 2.5), Row(4.25, 0)],
            id="tokens",
        ),
        pytest.param(
            "\ufeffmodel, Service_Time ,at\r\nx,1,0\r\n\r\ny,2,0\r\n", [Row(0, 1), Row(0, 2)], id="any order"
        ),
        pytest.param(
            "timestamp,ContextTokens\n2024-05-10T02:00:00+02:00,5\n2024-05-10 00:00:01,6\n",
            [Row(0, math.nan), Row(1, math.nan)],
            id="zones mix, one column of tokens is none",
        ),
    ],
)
def test_requests_are_read(tmp_path: Path, text: str, rows: list[Row]) -> None:
    read = read_table(written(tmp_path, text), RATES)
    np.testing.assert_allclose(read, rows, atol=1e-9)


@pytest.mark.parametrize(("seconds", "count"), [(4.24, 1), (4.25, 2)])
def test_nothing_beyond_the_limit_is_read(tmp_path: Path, seconds: float, count: int) -> None:
    text = "time,service_time\n1,0.5\n5.25,2\n60,1\nnonsense\n"
    assert len(read_table(written(tmp_path, text), RATES, seconds)) == count


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", ": no column timestamp; the first line must name timestamp", id="empty"),
        pytest.param("when,what\n1,2\n", "; it names when, what", id="other columns"),
        pytest.param("time\n", ": holds no request; the first line must name", id="no request"),
        pytest.param("time\n5\n4\n", ", line 3: time '4' is earlier than the line before", id="unordered"),
        pytest.param("time\n-1\n", ", line 2: time '-1' must not be negative", id="negative"),
        pytest.param("time\nnan\n", ", line 2: time 'nan' must not be negative", id="nan"),
        pytest.param("time\nsoon\n", ", line 2: time 'soon' must be seconds, or a date", id="no time"),
        pytest.param("at,time\n3\n", ", line 2: time '' must be seconds, or a date", id="short line"),
        pytest.param(
            "time,service_time\n1,-2\n", ", line 2: service_time '-2' must be a number from 0 to", id="work"
        ),
        pytest.param(
            "time,ContextTokens,GeneratedTokens\n1,x,2\n", ", line 2: ContextTokens 'x' must be", id="tokens"
        ),
        pytest.param(b"\xff\xfe\x00", ": not a text file in UTF-8", id="binary"),
        pytest.param('time\n"1\n2', ", line 3: time '1\\n2' must be", id="open quote"),
    ],
)
def test_what_cannot_be_used_is_refused_by_file_and_line(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as refused:
        read_table(path, RATES)
    assert str(refused.value).startswith(str(path))
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)
