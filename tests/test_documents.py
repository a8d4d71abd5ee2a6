"""What the documents say of the code: their links lead somewhere, and the tour's parts fit together as printed."""

import re
from pathlib import Path

from cases import cases

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")])


def without_code(text: str) -> str:
    """Links and headings are looked for outside of fenced blocks only."""
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Of all headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_code(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cases("document", DOCUMENTS)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(document.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def test_names_behind_links_to_code_are_there() -> None:
    """[`level_sampling.Uniform`](../src/…): what is linked to defines the last name, or is a module of that name."""
    for document in DOCUMENTS:
        for name, link in re.findall(r"\[`([\w.]+)`\]\((\S+\.py)\)", document.read_text(encoding="utf-8")):
            target, last = (document.parent / link).resolve(), name.split(".")[-1]
            defined = re.search(rf"^ *(class|def) {last}\b|^ *{last}\b.*[:=]", target.read_text(encoding="utf-8"), re.M)
            assert defined or {name, last} & {target.name, target.stem}, f"{document.name}: {name} in {link}"


def test_the_parts_of_the_tour_fit_together() -> None:
    (code,) = re.findall(
        r"```python\n(import torch\n.*?)```", (ROOT / "docs" / "tour.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    names: dict[str, object] = {}
    exec(compile(code, "docs/tour.md", "exec"), names)
    x = names["x"]
    assert x.shape == (4, 3, 32, 32)
    assert bool(x.isfinite().all())
