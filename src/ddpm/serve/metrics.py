"""Metrics in the format of Prometheus."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ddpm.serve.orders import ENDED
from ddpm.serve.server import Server


class ServerCollector:
    """Reads the server's counters when they are asked for."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def collect(self) -> Iterable[Metric]:
        """All metrics."""
        queue, worker = self.server.queue, self.server.worker
        yield GaugeMetricFamily("ddpm_jobs_waiting", "Jobs that wait", queue.waiting)
        ended = CounterMetricFamily("ddpm_jobs_ended", "Jobs that ended", labels=["state"])
        for state in ENDED:
            ended.add_metric([state], queue.counts[state])
        yield ended
        yield CounterMetricFamily("ddpm_pictures", "Pictures drawn", worker.pictures)
        yield CounterMetricFamily("ddpm_batches", "Batches drawn", worker.batches)
        yield CounterMetricFamily("ddpm_drawing_seconds", "Seconds spent drawing", worker.seconds)
        yield GaugeMetricFamily("ddpm_runs_loaded", "Runs in memory", len(self.server.catalog.names()))


def metrics(server: Server) -> bytes:
    """The text of ``/metrics``."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(server))
    return generate_latest(registry)
