"""benchmarks/orders.py fits slopes and draws its panels."""

import pytest


@pytest.fixture
def orders():
    import orders

    return orders


def test_the_slope_is_that_of_the_last_points(orders):
    line = orders.Line(3, [(10, 1.0), *((n, 7.0 * n**-3) for n in (100, 200, 400))])
    assert line.slope == pytest.approx(3, abs=1e-9)


def test_a_claim_is_met_on_short_grids(orders):
    from tests.laws.convergence import END, MIXTURE, NOISE, SINGLE_STEP, at, even, flow_of, normal

    solver, order = SINGLE_STEP["heun"]
    end = flow_of(MIXTURE, orders.start(at(NOISE), normal), 300, NOISE, END)
    points = [orders.error(MIXTURE, solver, even(n), end) for n in (25, 50, 100)]
    assert [calls for calls, _ in points] == [solver.evaluations(even(n)) for n in (25, 50, 100)]
    assert orders.Line(order, points).slope == pytest.approx(order, abs=0.25)


def test_panels_have_a_line_for_each_solver_and_each_order(orders):
    from ddpm.report.canvas import figure

    lines = {f"one of order {p}": orders.Line(p, [(n, 1.0 * n**-p) for n in (10, 30, 100)]) for p in (1, 2)}
    [ax] = figure(orders.panel("a title", lines)).axes
    assert len(ax.lines) == 4
    assert [text.get_text() for text in ax.texts] == ["1", "2"]
