"""One pod's report and its wire form, shared with Knative's queue-proxies, activators and autoscalers.

Source: `knative/serving pkg/autoscaler/metrics/stat.proto`; the field numbers are the same. The messages are
described in code, so there is no generated file.
"""

from collections.abc import Iterable
from itertools import combinations
from operator import attrgetter, itemgetter
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_NUMBERS = range(2, 7)
"""Of the fields that are floating-point numbers."""

_FIELD = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "kpa.metrics"


Loads: TypeAlias = tuple[float, float, float, float]
"""Concurrency, proxied concurrency, arrivals per second, proxied arrivals per second."""


class Stat(NamedTuple):
    """Load of one pod, or of one activator for a revision, averaged over about a second.

    Attributes
    ----------
    pod_name : str
        The reporting pod; an aggregate of several pods has a name of its own.
    average_concurrent_requests : float
        Requests in flight, averaged over the report; includes the proxied ones.
    average_proxied_concurrent_requests : float
        Those that came through an activator, which reports them itself.
    request_count, proxied_request_count : float
        Arrivals per second, in the same sense.
    process_uptime : float
        Seconds since the reporting process started.
    timestamp : int
        Unix time in seconds; 0 is unset.
    """

    pod_name: str = ""
    average_concurrent_requests: float = 0.0
    average_proxied_concurrent_requests: float = 0.0
    request_count: float = 0.0
    proxied_request_count: float = 0.0
    process_uptime: float = 0.0
    timestamp: int = 0

    @property
    def concurrency(self) -> float:
        """Requests in flight that no activator reports."""
        return self.average_concurrent_requests - self.average_proxied_concurrent_requests

    @property
    def requests(self) -> float:
        """Arrivals per second that no activator reports."""
        return self.request_count - self.proxied_request_count

    def in_full(self) -> "Stat":
        """Return the stat without proxied loads: no activator reports them, so all requests count.

        Examples
        --------
        >>> Stat("a", 5.0, 4.0).concurrency, Stat("a", 5.0, 4.0).in_full().concurrency
        (1.0, 5.0)
        """
        return self._replace(average_proxied_concurrent_requests=0.0, proxied_request_count=0.0)

    def encode(self) -> bytes:
        """Write the protobuf message `Stat`."""
        data: bytes = _to_message(self).SerializeToString()
        return data

    @staticmethod
    def decode(data: bytes) -> "Stat":
        """Read a protobuf message `Stat`.

        Raises
        ------
        ValueError
            The bytes are not such a message.
        """
        try:
            return tuple.__new__(Stat, _fields(_StatMessage.FromString(data)))  # half the time of `Stat(...)`
        except DecodeError as error:
            raise ValueError(f"not a Stat message: {error}") from error


def read_loads(data: bytes, start: int) -> Loads | None:
    """Return the four loads of a `Stat` whose name ends at `start`; None leaves the message to `Stat.decode`.

    Five numbers follow the name, in order and without those that are zero, a tag and eight bytes each: so the
    peer's encoder writes them, though a decoder must accept other messages.

    Examples
    --------
    >>> read_loads(Stat("p", 1.0, 0.0, 3.0, process_uptime=60.0).encode(), start=3)
    (1.0, 0.0, 3.0, 0.0)
    """
    layout = _LAYOUTS.get(data[start::9])
    if layout is None or (len(data) - start) % 9:
        return None
    unpack, choose = layout
    loads: Loads = choose((*unpack(data, start), 0.0))
    return loads


def _layouts() -> dict[bytes, tuple[Any, Any]]:
    """Return for each choice of numbers, by their tags, what reads them and what fills in zeros."""
    layouts = {}
    for count in range(len(_NUMBERS) + 1):
        for there in combinations(range(len(_NUMBERS)), count):
            tags = bytes(_NUMBERS[i] << 3 | 1 for i in there)
            choice = [there.index(load) if load in there else count for load in range(4)]
            layouts[tags] = Struct("<" + "xd" * count).unpack_from, itemgetter(*choice)
    return layouts


class StatMessage(NamedTuple):
    """A stat and the revision it is about."""

    namespace: str
    name: str
    stat: Stat


def encode_messages(messages: Iterable[StatMessage]) -> bytes:
    """Write one websocket frame, the protobuf message `WireStatMessages`."""
    batch = _BatchMessage()
    for namespace, name, stat in messages:
        batch.messages.add(namespace=namespace, name=name, stat=_to_message(stat))
    data: bytes = batch.SerializeToString()
    return data


def decode_messages(data: bytes) -> list[StatMessage]:
    """Read one websocket frame; messages without a stat are skipped.

    Raises
    ------
    ValueError
        The bytes are not a `WireStatMessages`.
    """
    try:
        batch = _BatchMessage.FromString(data)
    except DecodeError as error:
        raise ValueError(f"not a WireStatMessages message: {error}") from error
    return [
        StatMessage(message.namespace, message.name, tuple.__new__(Stat, _fields(message.stat)))
        for message in batch.messages
        if message.HasField("stat")
    ]


def _to_message(stat: Stat) -> Any:
    return _StatMessage(**stat._asdict())


_fields = attrgetter(*Stat._fields)
_LAYOUTS = _layouts()


def _messages() -> tuple[Any, Any]:
    """Describe the three messages in a pool of our own and return the classes of the first and the last."""
    file = descriptor_pb2.FileDescriptorProto(name="kpa/stat.proto", package=_PACKAGE, syntax="proto3")
    stat = file.message_type.add(name="Stat")
    kinds = {"pod_name": _FIELD.TYPE_STRING, "timestamp": _FIELD.TYPE_INT64}
    for number, name in enumerate(Stat._fields, start=1):
        stat.field.add(
            name=name, number=number, type=kinds.get(name, _FIELD.TYPE_DOUBLE), label=_FIELD.LABEL_OPTIONAL
        )
    one = file.message_type.add(name="WireStatMessage")
    for number, name in enumerate(("namespace", "name"), start=1):
        one.field.add(name=name, number=number, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    _add_message_field(one, "stat", 3, "Stat", _FIELD.LABEL_OPTIONAL)
    _add_message_field(
        file.message_type.add(name="WireStatMessages"),
        "messages",
        1,
        "WireStatMessage",
        _FIELD.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = ("Stat", "WireStatMessages")
    first, last = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in names
    )
    return first, last


def _add_message_field(
    owner: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str, label: "_FIELD.Label.ValueType"
) -> None:
    owner.field.add(
        name=name, number=number, type=_FIELD.TYPE_MESSAGE, type_name=f".{_PACKAGE}.{kind}", label=label
    )


_StatMessage, _BatchMessage = _messages()
