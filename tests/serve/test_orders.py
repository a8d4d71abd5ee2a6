"""What an order may ask for."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cases import cases
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.serve.limits import check
from ddpm.serve.orders import Order, Ticket
from refusal import refuses
from serve.conftest import photo


@cases(
    ("given", "named"),
    [
        ({"n": 0}, "n"),
        ({"n": 65}, "n"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"run": "x" * 201}, "run"),
        ({"label": "x" * 201}, "label"),
        ({"label": ["star"] * 65}, "label"),
        ({"prompt": "x" * 5000}, "prompt"),
        ({"settings": {"guide_with": "/etc/passwd"}}, "guide_with"),
        ({"settings": {"precision": "bf16"}}, "precision"),
        ({"settings": {"stepps": 3}}, "did you mean 'steps'"),
        ({"settings": {"steps": "5000"}}, "steps"),
        ({"settings": {"negative": [1]}}, "negative"),
        ({"settings": {"grid": [[1]]}}, "settings"),
        ({"settings": {"grid": list(range(2000, 0, -1))}}, "settings"),
        ({"settings": {"x" * 300: 1}}, "settings"),
        ({"options": {"strength": 0.5}}, "strength"),
        ({"task": "edit"}, "strength"),
        ({"task": "edit", "options": {"strength": 2}}, "strength"),
        ({"task": "outpaint", "options": {"left": 10**9}}, "left"),
        ({"task": "outpaint", "options": {"left": "8"}, "n": "x"}, "n"),
        ({"task": "inpaint", "options": {"repaint": "1x1\n"}}, "repaint"),
        ({"task": "inpaint", "options": {"fit": "../x"}}, "fit"),
        ({"task": "interpolate", "settings": {"solver": "heun"}}, "solver"),
        ({"task": "interpolate", "seed": 1}, "seed has no effect"),
        ({"task": "upscale", "n": 2}, "one picture"),
        ({"task": "paint"}, "task"),
        ({"pictures": []}, "pictures"),
    ],
)
def test_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Order.model_validate({"run": "shapes", **given})


@cases(
    ("given", "named"),
    [
        ({"settings": {"steps": 1001}}, "1,001 steps"),
        ({"settings": {"grid": ",".join(map(str, range(1000, 0, -1)))}}, ""),
        ({"settings": {"solver": "adaptive", "grid": "log-snr", "steps": 40}}, "12,040 times"),
        ({"settings": {"size": ["4096", 2048]}}, "8,388,608 pixels"),
        ({"settings": {"size": [1024, 1024]}, "n": 32}, "33,554,432 pixels"),
        ({"task": "inpaint", "settings": {"steps": 10}, "options": {"repaint": "1x1000"}}, "10,000 steps"),
        ({"task": "outpaint", "options": {"left": 8000, "top": 8000}}, "pixels"),
    ],
)
def test_beyond_the_limits_of_a_request(shapes: LoadedRun, given: dict[str, Any], named: str) -> None:
    order = Order.model_validate({"run": "shapes", **given})
    how = settings(shapes, dict(order.settings))
    if named:
        with refuses("invalid", named):
            check(shapes, how, order, [] if order.task == "sample" else [photo()])
    else:
        check(shapes, how, order, [])


def test_tickets_are_sorted_by_time_and_survive_a_file(tmp_path: Path) -> None:
    tickets = [Ticket.of(Order(run="shapes", prompt="a heart"), "someone") for _ in range(5)]
    assert [ticket.id for ticket in tickets] == sorted({ticket.id for ticket in tickets})
    tickets[0].write(tmp_path / "ticket.json")
    assert Ticket.read(tmp_path / "ticket.json") == tickets[0]
