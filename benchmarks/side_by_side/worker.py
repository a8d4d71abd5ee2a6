"""The process of a contender: reads what to do from stdin, answers on stdout, a line of JSON each.

python -m side_by_side.worker '{"maker": "ours.training", "subject": {...}, "threads": 2, "keep_freed": true}'
"""

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    spec = json.loads(sys.argv[1])
    # whatever a library prints must not get among the answers
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if spec["keep_freed"]:
        from ddpm.system.allocator import keep_freed_memory

        keep_freed_memory()
    module, function = spec["maker"].split(".")
    make = getattr(import_module(f"side_by_side.{module}"), function)
    import torch

    from side_by_side.subject import Subject

    torch.set_num_threads(spec["threads"])
    subject = Subject(**spec["subject"])
    made = make(subject, **spec["options"])
    print(json.dumps(made.facts), file=answers)

    def wait() -> None:
        if subject.device == "cuda":
            torch.cuda.synchronize()

    for line in sys.stdin:
        ask: dict[str, Any] = json.loads(line)
        if ask["act"] == "peak":
            print(json.dumps(_peak(subject.device)), file=answers)
            continue
        act = made.acts[ask["act"]]
        for _ in range(ask["warm"]):
            act()
        wait()
        began = time.perf_counter()
        for _ in range(ask["times"]):
            act()
        wait()
        print(json.dumps((time.perf_counter() - began) / ask["times"]), file=answers)
        if subject.device == "cuda":  # the others need it meanwhile
            torch.cuda.empty_cache()


def _peak(device: str) -> int:
    """The most bytes held so far."""
    status = Path("/proc/self/status")
    if device == "cpu" and status.exists():  # getrusage would count what the parent held at the fork
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    import torch

    from ddpm.training.measure import peak_bytes

    return peak_bytes(torch.device(device))


if __name__ == "__main__":
    main()
