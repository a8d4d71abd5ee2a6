"""Every file imports only from its own package and from lower layers, so that no part depends on what uses it.

A floor is a layer: the packages of a layer import from the layers below it, never from each other. A package is a
folder of src/ddpm, or a file next to the folders: ``__main__`` belongs to the command line, and ``ddpm/__init__``,
which exports what users need, to the pipeline. A new package needs a layer here. Imports count wherever they are
written: inside functions, and for type checkers alone.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from cases import cases

SRC = Path(__file__).parents[1] / "src"

LAYERS: list[set[str]] = [
    {"core", "system"},
    {"config", "images", "constraints", "objectives", "sampling", "guidance"},
    {"codec", "data", "networks", "text"},
    {"conditioning", "metrics", "training"},
    {"build", "records"},
    {"engine"},
    {"exchange", "planning", "tasks"},
    {"evaluation", "report"},
    {"pipeline"},
    {"serve"},
    {"cli"},
]
MATHEMATICS = {"core", "networks", "conditioning", "objectives", "sampling", "guidance", "constraints"}
"""Packages that need nothing third-party but torch."""
ALSO = {"ddpm/core/stream.py": {"numpy"}, "ddpm/conditioning/low_resolution.py": {"numpy"}}
"""Files of them that need more: torch's generator keeps 32 bits of a seed on the CPU, where NumPy's Philox has 128; and
small images are made of large ones as these are stored, in NumPy's arrays."""

LAYER_OF = {package: number for number, layer in enumerate(LAYERS) for package in layer}
FILES = sorted(path.relative_to(SRC).as_posix() for path in (SRC / "ddpm").rglob("*.py"))


def package(module: str) -> str:
    """ "ddpm.core.level" is in "core", "ddpm.build" is "build", and "ddpm" alone is of "pipeline"."""
    _, *inside = module.split(".")
    first = inside[0] if inside else "pipeline"
    return "cli" if first == "__main__" else first


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def package_of(path: str) -> str:
    return package(module_of(path))


@cache
def imports(source: str) -> list[str]:
    """Every imported module, by its full name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            for alias in node.names:
                below = SRC.joinpath(*node.module.split("."), alias.name)
                is_module = below.is_dir() or below.with_suffix(".py").exists()
                found.append(f"{node.module}.{alias.name}" if is_module else node.module)
    return found


def breaks(path: str, source: str) -> list[str]:
    """What a file imports that it should not."""
    own = package_of(path)
    wrong = []
    for name in imports(source):
        root = name.split(".")[0]
        if root == "ddpm":
            other = package(name)
            if other != own and not LAYER_OF[other] < LAYER_OF[own]:
                wrong.append(name)
        elif own in MATHEMATICS and root not in {"torch", *ALSO.get(path, ())} | sys.stdlib_module_names:
            wrong.append(name)
    return wrong


def circle(sources: dict[str, str], part: Callable[[str], str]) -> list[str]:
    """Parts of the package that import each other in turn, or none.

    Args:
        sources: of the files, by their paths.
        part: what a module is a part of.
    """
    graph: dict[str, set[str]] = {}
    for path, source in sources.items():
        own = part(module_of(path))
        others = {part(name) for name in imports(source) if name.split(".")[0] == "ddpm"}
        graph.setdefault(own, set()).update(others - {own})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as e:
        found: list[str] = e.args[1]
        return found
    return []


@cases("name", sorted(LAYER_OF))
def test_imports_lead_down(name):
    wrong = {path: breaks(path, (SRC / path).read_text(encoding="utf-8")) for path in FILES if package_of(path) == name}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_every_package_is_in_one_layer():
    assert sorted({package_of(path) for path in FILES}) == sorted(package for layer in LAYERS for package in layer)


@cases("part", [package, str])
def test_nothing_imports_what_imports_it(part):
    assert circle({path: (SRC / path).read_text(encoding="utf-8") for path in FILES}, part) == []


def test_every_type_has_a_name_of_its_own():
    sources = [(SRC / path).read_text(encoding="utf-8") for path in FILES]
    # classes, and aliases in camel case
    type_name = re.compile(r"^(?:class )?([A-Z]\w*[a-z]\w*)(?= = |[:(])", re.MULTILINE)
    names = Counter(name for source in sources for name in type_name.findall(source))
    assert [name for name, n in names.items() if n > 1] == []


def test_circles_are_found():
    level, loop = "import ddpm.core.model", "from ddpm.core.level import Level"
    assert circle({"ddpm/core/level.py": level, "ddpm/core/model.py": loop}, str) != []
    assert circle({"ddpm/core/level.py": level, "ddpm/core/model.py": loop}, package) == []
    assert circle({"ddpm/core/level.py": level, "ddpm/core/model.py": "import torch"}, str) == []
    up, down = "from ddpm.sampling import loop", "def f():\n    from ddpm.core import level"
    assert circle({"ddpm/core/level.py": up, "ddpm/sampling/loop.py": down}, package) != []


def test_the_test_itself():
    for path, source, wrong in [
        ("ddpm/core/level.py", "import torch, math\nfrom ddpm.core import scale", []),
        ("ddpm/core/level.py", "import numpy.linalg", ["numpy.linalg"]),
        ("ddpm/core/stream.py", "import numpy.linalg, scipy", ["scipy"]),
        ("ddpm/core/level.py", "from ddpm.system.errors import InputError", ["ddpm.system.errors"]),
        ("ddpm/sampling/loop.py", "def f():\n    from ddpm import guidance", ["ddpm.guidance"]),
        ("ddpm/guidance/clipping.py", "if TYPE_CHECKING:\n    import ddpm.training.loop", ["ddpm.training.loop"]),
        ("ddpm/training/loop.py", "from ddpm.build import build_model", ["ddpm.build"]),
        ("ddpm/training/loop.py", "from ddpm.data.loader import Loader\nimport accelerate", []),
        ("ddpm/config.py", "from ddpm import load", ["ddpm"]),
        ("ddpm/__init__.py", "from ddpm.pipeline import load", []),
    ]:
        assert breaks(path, source) == wrong
