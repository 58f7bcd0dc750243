"""Moments as people write them."""

from datetime import UTC, datetime


def parse_moment(text: str) -> float:
    """Return the unix seconds of a number or of a date in ISO 8601; dates without a zone are UTC.

    Raises
    ------
    ValueError
        It is neither.

    Examples
    --------
    >>> parse_moment("2023-11-16 18:15:46.680"), parse_moment("12.5")
    (1700158546.68, 12.5)
    """
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
