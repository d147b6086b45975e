"""A server's figures as Prometheus reads them; the only module that knows prometheus-client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from replicell.sync.counts import Counts, Histogram
from replicell.sync.overview import ClusterOverview, Overview, RoomOverview

__all__ = ["CONTENT_TYPE", "render"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LAG_BOUNDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


def render(counts: Counts, overview: Overview, labelled_rooms: int) -> str:
    """Return the figures in Prometheus' text format.

    Args:
        counts: What has happened.
        overview: How it is now.
        labelled_rooms: How many rooms have figures of their own, those with the most; there is a label for
            rooms only, and none for clients, for that would make as many time series as there are clients.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Server(counts, overview, labelled_rooms))
    return generate_latest(registry).decode()


class _Server(Collector):
    def __init__(self, counts: Counts, overview: Overview, labelled_rooms: int) -> None:
        self._counts = counts
        self._overview = overview
        self._labelled = labelled_rooms

    def collect(self) -> Iterator[Metric]:
        yield from self._now()
        if self._overview.cluster is not None:
            yield from _in_a_cluster(self._overview.cluster)
        yield from self._since_the_start()
        if self._labelled:
            yield from self._by_room()

    def _now(self) -> Iterator[Metric]:
        rooms, sizes = self._overview.rooms, self._overview.sizes
        lags = [lag for room in rooms for lag in room.lags]
        yield _gauge("replicell_ready", "Whether /readyz says so", self._overview.ready)
        yield _gauge("replicell_clients", "Clients that are connected", len(lags))
        yield _gauge("replicell_rooms_open", "Rooms that are open", len(rooms))
        yield _gauge("replicell_rooms", "Rooms that there are, open or not", len(sizes))
        yield _gauge("replicell_database_bytes", "Size of all rooms' databases", sum(sizes.values()))
        yield _gauge("replicell_database_bytes_max", "Size of the biggest", max(sizes.values(), default=0))
        lag = Histogram(_LAG_BOUNDS)
        for seconds in lags:
            lag.observe(seconds)
        behind = GaugeMetricFamily(
            "replicell_clients_behind", "Clients that have not had everything for longer", labels=["seconds"]
        )
        for bound, up_to in zip(_LAG_BOUNDS, lag.cumulated(), strict=False):
            behind.add_metric([f"{bound:g}"], len(lags) - up_to)
        yield behind
        yield _gauge(
            "replicell_client_lag_seconds_max", "For how long the last of them", max(lags, default=0)
        )

    def _since_the_start(self) -> Iterator[Metric]:
        counts = self._counts
        yield _counter("replicell_changes_in", "Changes that came from clients", counts.changes_in)
        yield _counter("replicell_changes_out", "Changes that went to clients", counts.changes_out)
        yield _counter("replicell_bytes_out", "Bytes that went to clients", counts.bytes_out)
        yield _counter(
            "replicell_rooms_unopened", "Times that a room could not be opened", counts.unopened_rooms
        )
        yield _counters("replicell_changes_refused", "Changes not applied", "reason", counts.refused_changes)
        yield _counters(
            "replicell_connections_refused", "Clients not let in", "reason", counts.refused_connections
        )
        yield _counters(
            "replicell_connections_ended", "Clients sent away", "reason", counts.closed_connections
        )
        yield _histogram(
            "replicell_apply_seconds",
            "How long a transaction of a client's changes took",
            counts.apply_seconds,
        )
        yield _histogram(
            "replicell_loop_delay_seconds", "How late the event loop was", counts.loop_delay_seconds
        )

    def _by_room(self) -> Iterator[Metric]:
        clients = GaugeMetricFamily("replicell_room_clients", "Clients in a room", labels=["room"])
        for room in self._most(lambda room: len(room.lags)):
            clients.add_metric([room.name], len(room.lags))
        lag = GaugeMetricFamily(
            "replicell_room_lag_seconds_max", "For how long a room's last client is behind", labels=["room"]
        )
        for room in self._most(lambda room: max(room.lags, default=0.0)):
            lag.add_metric([room.name], max(room.lags, default=0.0))
        size = GaugeMetricFamily(
            "replicell_room_database_bytes", "Size of a room's database", labels=["room"]
        )
        sizes = self._overview.sizes
        for name in sorted(sizes, key=lambda name: (-sizes[name], name))[: self._labelled]:
            size.add_metric([name], sizes[name])
        yield from (clients, lag, size)

    def _most(self, figure: Callable[[RoomOverview], float]) -> list[RoomOverview]:
        ordered = sorted(self._overview.rooms, key=lambda room: (-figure(room), room.name))
        return ordered[: self._labelled]


def _in_a_cluster(cluster: ClusterOverview) -> Iterator[Metric]:
    yield _gauge(
        "replicell_backplane_connected", "Whether the rooms' logs can be appended to", cluster.connected
    )
    yield _gauge(
        "replicell_backplane_waiting_seconds_max",
        "For how long the oldest commit is not known to be in its room's log",
        cluster.waiting_seconds,
    )
    yield _counter(
        "replicell_backplane_repairs", "How often a room differed from another node's", cluster.repairs
    )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _counters(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _histogram(name: str, text: str, values: Histogram) -> Metric:
    bounds = [*map(str, values.bounds), "+Inf"]
    return HistogramMetricFamily(
        name, text, buckets=list(zip(bounds, values.cumulated(), strict=True)), sum_value=values.total
    )
