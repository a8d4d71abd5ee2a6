import os
import signal
import subprocess
import sys

import pytest

from ddpm.system import interrupt as interrupts
from ddpm.system.interrupt import INSISTENT, SIGNALS, Interrupt


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_sets_a_flag_and_the_handlers_come_back(number: signal.Signals) -> None:
    given = signal.signal(number, signal.SIG_DFL)  # nohup ignores hangups
    before = {s: signal.getsignal(s) for s in SIGNALS}
    try:
        with Interrupt() as interrupt:
            assert not interrupt.requested
            os.kill(os.getpid(), number)
            assert interrupt.requested
        assert {s: signal.getsignal(s) for s in SIGNALS} == before
    finally:
        signal.signal(number, given)


def test_an_ignored_hangup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupt.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_ends_the_process_at_once_unless_it_echoes_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, ended = [0.0], []
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(interrupts.os, "_exit", ended.append)
    for first in SIGNALS:
        for second in SIGNALS:
            with Interrupt():
                signal.raise_signal(first)
                signal.raise_signal(second)
                assert not ended
                clock[0] += 2
                signal.raise_signal(second)
                assert ended == [128 + second] * (second in INSISTENT)
                ended.clear()


def test_an_end_at_once_cleans_nothing_up() -> None:
    script = """
import os, signal
from ddpm.system import interrupt as interrupts
interrupts.ECHO = 0
with interrupts.Interrupt() as interrupt:
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        print("flag", interrupt.requested, flush=True)
        os.kill(os.getpid(), signal.SIGINT)
        print("still here", flush=True)
    finally:
        print("cleaned up", flush=True)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (130, "flag True\n")
