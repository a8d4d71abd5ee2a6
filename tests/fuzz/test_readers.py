"""Whatever a file holds, reading it works, or ends in one InputError: in bounded memory, and nothing in it is run.

``make fuzz`` tries many more files than ``make test``: ``DDPM_FUZZ`` is their number.
"""

import os
import resource
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddpm.system.errors import InputError
from fuzz.mutations import unusual
from fuzz.readers import Reader, readers

FILES = int(os.environ.get("DDPM_FUZZ", "60"))
MEMORY = 3 << 29
"""What a file of at most some megabytes may take, in bytes, above what the process has."""
SECONDS = 60
"""How long a file may take, on a busy machine."""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="bounds memory as Linux does")


@pytest.fixture(scope="module")
def ways(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    return readers(digits_run, tmp_path_factory.mktemp("valid"))


@pytest.fixture(scope="module")
def counts() -> Iterator[Counter[str]]:
    found: Counter[str] = Counter()
    yield found
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"\n{found.total()} files: {found['works']} work, {found['refused']} are refused; peak memory {peak} MB")


@pytest.fixture(scope="module")
def bounded() -> Iterator[None]:
    """No more address space than such files need, and no file that is waited for without end."""

    def late(*_: object) -> None:
        raise TimeoutError

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits, before = resource.getrlimit(resource.RLIMIT_AS), signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)
    signal.signal(signal.SIGALRM, before)


def test_valid_files(ways: dict[str, Reader], tmp_path: Path) -> None:
    """Each reader reads its example, without which the rest would prove little."""
    for name, way in ways.items():
        (tmp_path / name).mkdir()
        way.read(way.write(tmp_path / name))


@settings(
    max_examples=FILES,
    derandomize="DDPM_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_changed_files(
    ways: dict[str, Reader],
    counts: Counter[str],
    bounded: None,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    name, seed = data.draw(st.sampled_from(sorted(ways))), data.draw(st.integers(0, 2**32))
    folder, draw, way = tmp_path_factory.mktemp("changed"), Random(seed), ways[name]
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            path = way.write(folder)
            if draw.random() < 0.1:
                unusual(path, draw)
            else:
                path.write_bytes(draw.choice(way.changes)(path.read_bytes(), draw))
            signal.alarm(SECONDS)
            with suppress(InputError):
                message = "works"
                try:
                    way.read(path)
                except InputError as error:
                    message = str(error)
                    raise
                finally:
                    signal.alarm(0)
            counts["works" if message == "works" else "refused"] += 1
            assert message.isprintable()
            assert 0 < len(message) < 12_000
            assert not (folder / "canary").exists()
    finally:
        shutil.rmtree(folder)
