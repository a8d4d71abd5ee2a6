"""``ddpm compare``."""

from pathlib import Path
from typing import TYPE_CHECKING

from ddpm.cli.numbers import words
from ddpm.cli.output import say
from ddpm.system.console import console

if TYPE_CHECKING:
    from rich.table import Table

    from ddpm.evaluation.compare import Column
    from ddpm.metrics.estimate import Estimate
    from ddpm.records.score import Score


def compare(*scores: Path, across: list[str] | None = None) -> None:
    """Compare scores that were measured in the same way.

    Each value is followed by its 95 % interval. The best value is bold if its interval overlaps no other.

    Args:
        scores: Files written by `ddpm evaluate`, or folders with a score.json.
        across: Sampling settings that may differ: solver, steps, grid, eta, guidance, clip or seed, separated by
            commas.
    """
    from ddpm.evaluation.compare import columns_of, names_of, read, require_alike

    found = read(scores)
    require_alike(found, words("--across", across))
    names, rows = names_of(list(found)), list(found.values())
    columns = columns_of(rows)
    for table in _tables(names, rows, columns):
        console.print(table)
    for i, name in enumerate(names):
        if won := [column.title for column in columns if column.best(rows) == i]:
            say(f"best      {name}: {', '.join(won)}")
    if contested := [column.title for column in columns if column.contested(rows)]:
        say(f"no winner {', '.join(contested)}: intervals overlap")
    for name, score in zip(names, rows, strict=True):
        say(*(f"note      {name}: {note}" for note in score.notes))


def _tables(names: list[str], scores: "list[Score]", columns: "list[Column]") -> "list[Table]":
    """One table, or several with fewer columns if the terminal is too narrow."""
    from rich.measure import measure_renderables

    tables, first = [], 0
    for end in range(1, len(columns) + 1):
        wider = _table(names, scores, columns[first : end + 1])
        width = measure_renderables(console, console.options.update(max_width=10_000), [wider]).maximum
        if end == len(columns) or width > console.width:
            tables.append(_table(names, scores, columns[first:end]))
            first = end
    return tables


def _table(names: list[str], scores: "list[Score]", columns: "list[Column]") -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("", overflow="fold")
    for column in columns:
        table.add_column(column.header, no_wrap=True)
    winners = [column.best(scores) for column in columns]
    for i, (name, score) in enumerate(zip(names, scores, strict=True)):
        cells = [Text(name)]
        for column, winner in zip(columns, winners, strict=True):
            cells.append(Text(_say(column.read(score)), style="bold" if winner == i else ""))
        table.add_row(*cells)
    return table


def _say(interval: "Estimate | None") -> str:
    """A value above its interval, to two digits of the interval's half-width, and the floor of a Fréchet distance."""
    from math import floor, log10

    from ddpm.records.score import Frechet

    if interval is None:
        return "–"
    half = (interval.high - interval.low) / 2
    places = min(max(0, 1 - floor(log10(half))), 8) if half > 0 else 4
    lines = [f"{interval.value:.{places}f}", f"[{interval.low:.{places}f}, {interval.high:.{places}f}]"]
    if isinstance(interval, Frechet) and interval.floor is not None:
        lines.append(f"floor {interval.floor:.{places}f}")
    return "\n".join(lines)
