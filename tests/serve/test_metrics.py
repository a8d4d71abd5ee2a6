"""Metrics, read as Prometheus reads them."""

from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from serve.conftest import Order


def test_metrics(client: TestClient, order: Order) -> None:
    order(n=3, label="star")
    order(run="hearts", prompt="a (heart:99)")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }
    seconds = found.pop(("ddpm_drawing_seconds_total",))
    assert seconds > 0
    assert found == {
        ("ddpm_jobs_waiting",): 0,
        ("ddpm_jobs_ended_total", "done"): 1,
        ("ddpm_jobs_ended_total", "failed"): 1,
        ("ddpm_jobs_ended_total", "cancelled"): 0,
        ("ddpm_pictures_total",): 3,
        ("ddpm_batches_total",): 1,
        ("ddpm_runs_loaded",): 2,
    }
