import os
import signal
import subprocess
import sys

import pytest

from ddpm.system.interrupt import Interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_sets_a_flag_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    with Interrupt() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested
    assert {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)} == before


@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGINT"), ("SIGTERM", "SIGINT"), ("SIGINT", "SIGTERM")])
def test_the_second_signal_ends_the_process_at_once(first: str, second: str) -> None:
    script = f"""
import os, signal
from ddpm.system.interrupt import Interrupt
with Interrupt() as interrupt:
    try:
        os.kill(os.getpid(), signal.{first})
        print("flag", interrupt.requested, flush=True)
        os.kill(os.getpid(), signal.{second})
        print("still here", flush=True)
    finally:
        print("cleaned up", flush=True)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout == "flag True\n"
    assert ended.returncode == 128 + getattr(signal, second)
