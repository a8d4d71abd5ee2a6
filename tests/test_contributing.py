"""CONTRIBUTING.md quotes the code as it is: its listings, its layers, and the files that it names."""

import ast
import re
from pathlib import Path

from cases import cases

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

QUOTED = re.findall(r"^```python\n# (\S+)\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
"""(path, lines) of each listing that begins with the name of the file that it is quoted from."""


def quotes(code: str, listing: str) -> bool:
    """Whether whole lines of the code, one after another, are those of the listing."""
    return f"\n{listing}" in f"\n{code}"


def layers(source: str) -> list[set[str]]:
    """The packages of each layer, as a test file assigns them to ``LAYERS``."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "LAYERS":
            assert node.value is not None
            return ast.literal_eval(node.value)
    raise AssertionError("LAYERS is not assigned")


def test_listings_are_quoted():
    assert {path for path, _ in QUOTED} >= {
        "src/ddpm/sampling/heun.py",
        "src/ddpm/build/sampling.py",
        "src/ddpm/system/names.py",
        "src/ddpm/config/guidance.py",
        "tests/laws/convergence.py",
    }


@cases(("path", "listing"), QUOTED)
def test_a_listing_equals_the_code(path, listing):
    assert quotes((ROOT / path).read_text(encoding="utf-8"), listing), f"{path} no longer reads:\n{listing}"


def test_the_solver_is_quoted_as_a_whole():
    (listing,) = [listing for path, listing in QUOTED if path == "src/ddpm/sampling/heun.py"]
    assert listing == (ROOT / "src/ddpm/sampling/heun.py").read_text(encoding="utf-8")


def test_the_layers_are_those_that_the_tests_enforce():
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", TEXT, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(len(rows)))
    enforced = layers((ROOT / "tests" / "test_floors.py").read_text(encoding="utf-8"))
    assert [set(re.findall(r"`(\w+)`", packages)) for _, packages in rows] == enforced


def test_files_that_it_names_are_there():
    """`planning/recipes/ho2020.py` lies in src/ddpm, `tests/laws` in the root; code and patterns are no paths."""
    prose = re.sub(r"^```.*?^```$", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    named = re.findall(r"`([\w./]+/[\w./]+)`", prose)
    assert "planning/recipes/ho2020.py" in named
    assert [name for name in named if not ((ROOT / name).exists() or (ROOT / "src" / "ddpm" / name).exists())] == []


def test_the_test_itself():
    code = "a = 1\nb = 22\n    c = 3\n"
    for listing, found in [("a = 1\nb = 22\n", True), ("    c = 3\n", True), ("c = 3\n", False), ("b = 2\n", False)]:
        assert quotes(code, listing) == found
    assert layers('LAYERS: list[set[str]] = [{"core"}, {"data", "cli"}]') == [{"core"}, {"data", "cli"}]
