"""Load a server: many clients at once, idle connections, and how much sharing batches gains.

    python benchmarks/serve.py RUN

It starts ``ddpm serve RUN`` on a free port, and

- times the start up to the first picture;
- sends ``--requests`` requests of one picture from ``--clients`` clients at once, of all labels and of none, and
  compares every picture with the one that ``ddpm.load(RUN).sample`` draws alone;
- sends ``--each`` requests by one client, and by eight;
- opens ``--idle`` connections that say nothing, while a client asks.

It prints a table: requests answered and refused (429), pictures that differ, pictures per second, the median and the
95th percentile of the time of a request, the server's CPU time per picture, and its memory before, at its peak and
after. The exit code is 0 if every request was answered or refused, and every picture is the same.
"""

import argparse
import base64
import http.client
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

import ddpm

TOKEN = "a-token-of-the-benchmark"
TITLE = (
    f"{'load':<28}{'answered':>9}{'refused':>9}{'failed':>8}{'pictures/s':>12}{'p50 ms':>10}{'p95 ms':>10}"
    f"{'CPU ms/picture':>16}"
)
LONGEST = 600.0
"""Seconds after which a request counts as unanswered."""


@dataclass
class Load:
    """The answers to the requests of one load.

    Attributes:
        seconds: of each answered request.
        pictures: by (label, seed).
        refused: the number of answers 429.
        failed: other answers, and none at all.
        took, cpu: the seconds of the whole load, and those of the server's processor.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    pictures: dict[tuple[str | None, int], bytes] = field(default_factory=dict)
    refused: int = 0
    failed: list[str] = field(default_factory=list)
    took: float = 0.0
    cpu: float = 0.0

    def row(self) -> str:
        """Its line in the table."""
        quantiles = (
            statistics.quantiles(self.seconds, n=20, method="inclusive") if len(self.seconds) > 1 else [0.0] * 19
        )
        return (
            f"{self.name:<28}{len(self.seconds):>9}{self.refused:>9}{len(self.failed):>8}"
            f"{len(self.seconds) / self.took:>12.1f}{1000 * quantiles[9]:>10.0f}{1000 * quantiles[18]:>10.0f}"
            f"{1000 * self.cpu / max(1, len(self.seconds)):>16.1f}"
        )


def ask(port: int, label: str | None, seed: int) -> tuple[int, Any]:
    """Ask for a picture as OpenAI's clients do; the status, and the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST)
    body = json.dumps({"prompt": label, "seed": seed})
    head = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/images/generations", body, head)
    answer = connection.getresponse()
    found = answer.status, json.load(answer)
    connection.close()
    return found


def load(name: str, port: int, orders: list[tuple[str | None, int]], clients: int, server: psutil.Process) -> Load:
    """Send these requests by some clients, each of which waits for its answer before it asks again."""
    found, waiting, lock = Load(name), deque(orders), threading.Lock()

    def client() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                label, seed = waiting.popleft()
            began = time.perf_counter()
            try:
                status, answer = ask(port, label, seed)
            except OSError as error:
                status, answer = 0, str(error)
            with lock:
                if status == 200:
                    found.seconds.append(time.perf_counter() - began)
                    found.pictures[label, seed] = base64.b64decode(answer["data"][0]["b64_json"])
                elif status == 429:
                    found.refused += 1
                else:
                    found.failed.append(f"{status} {answer}")

    began, cpu = time.perf_counter(), sum(server.cpu_times()[:2])
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.took, found.cpu = time.perf_counter() - began, sum(server.cpu_times()[:2]) - cpu
    return found


@contextmanager
def idle(port: int, number: int) -> Iterator[int]:
    """Open connections that say nothing; yields how many could be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = []
    try:
        for _ in range(min(number, hard - 100)):
            try:
                connections.append(socket.create_connection(("127.0.0.1", port), timeout=5))
            except OSError:
                break
        yield len(connections)
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Memory(threading.Thread):
    """Watches the resident memory of a process, in MB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process, self.peak, self.files = psutil.Process(pid), 0.0, 0

    @property
    def now(self) -> float:
        return self._process.memory_info().rss / 1e6

    def run(self) -> None:
        while self._process.is_running():
            try:
                self.peak, self.files = max(self.peak, self.now), max(self.files, self._process.num_fds())
            except psutil.Error:
                return
            time.sleep(0.05)


def differing(run: Any, loads: list[Load]) -> int:
    """The number of pictures that are not the ones drawn alone."""
    wrong, alone = 0, {}
    for (label, seed), data in ((key, data) for one in loads for key, data in one.pictures.items()):
        if (label, seed) not in alone:
            [image] = run.sample(1, label=label, seed=seed)
            alone[label, seed] = np.asarray(image)
        with Image.open(BytesIO(data)) as image:
            wrong += not np.array_equal(np.asarray(image), alone[label, seed])
    return wrong


@contextmanager
def served(run: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Serve a run on a free port; yields the port and the process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ddpm", "serve", str(run), "--port", str(port), "--device", "cpu"]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([*command, "--out", folder], env=os.environ | {"DDPM_TOKEN": TOKEN})
        try:
            yield port, psutil.Process(server.pid)
        finally:
            began = time.perf_counter()
            server.send_signal(signal.SIGINT)
            server.wait(60)
        print(f"stopped in {time.perf_counter() - began:.1f} s")


def first_picture(port: int, label: str | None, server: psutil.Process) -> None:
    """Wait until a server that starts has drawn a picture, and print the time."""
    began = time.perf_counter()
    while True:
        try:
            ask(port, label, 0)
            break
        except OSError:
            assert server.is_running(), "the server ended"
            time.sleep(0.02)
    took, cpu = time.perf_counter() - began, sum(server.cpu_times()[:2])
    print(f"{took:.1f} s from start to first picture, {cpu:.1f} s of CPU time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--each", type=int, default=64, help="requests of one client, and of eight")
    parser.add_argument("--idle", type=int, default=10_000, help="connections that say nothing")
    given = parser.parse_args()
    run = ddpm.load(given.run, device="cpu")
    labels: tuple[str | None, ...] = (*run.classes, None) if run.classes else (None,)
    same = [(labels[0], k) for k in range(given.each)]
    with served(given.run) as (port, server):
        first_picture(port, labels[0], server)
        memory = Memory(server.pid)
        before = memory.now
        memory.start()
        print(TITLE)
        loads = []
        for name, orders, clients in (
            (f"{given.clients} clients", [(labels[k % len(labels)], k) for k in range(given.requests)], given.clients),
            ("1 client", same, 1),
            ("8 clients", same, 8),
        ):
            loads.append(load(name, port, orders, clients, server))
            print(loads[-1].row(), flush=True)
        with idle(port, given.idle) as opened:
            loads.append(load(f"1 client, {opened:,} idle", port, same[:8], 1, server))
            print(loads[-1].row(), flush=True)
        print(f"memory {before:.0f} MB before, {memory.peak:.0f} MB at most, {memory.now:.0f} MB at the end")
        print(f"at most {memory.files} open files")
    gain, cheaper = loads[1].took / loads[2].took, loads[1].cpu / loads[2].cpu
    print(
        f"8 clients draw {gain:.1f} times as many pictures per second as 1, each in 1 / {cheaper:.1f} of the CPU time"
    )
    failed = [line for one in loads for line in one.failed]
    print(*failed[:10], f"comparing {sum(len(one.pictures) for one in loads)} pictures …", sep="\n", flush=True)
    wrong = differing(run, loads)
    print(f"{wrong} differ from those drawn alone")
    sys.exit(bool(wrong or failed))


if __name__ == "__main__":
    main()
