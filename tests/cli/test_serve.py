"""``ddpm serve`` as a process: what it prints, how it ends, and what keeps it from starting."""

import json
import os
import re
import signal
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from ddpm.serve.store import Store
from forked import finish, start

Cli = Callable[..., int]
TOKEN = "0123456789+/&=%20#"
SERVE = """
import signal, sys
from ddpm.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background process ignores
main(sys.argv[1:])
"""


def test_ctrl_c_ends_at_once_and_keeps_the_queue(
    digits_run: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Also while a client follows a job that is being drawn."""
    out = tmp_path / "studio"
    flags = ("--port", "0", "--out", str(out), "--device", "cpu")
    process = start(SERVE, "serve", str(digits_run), *flags, output=tmp_path / "said", env={"DDPM_TOKEN": TOKEN})
    request.addfinalizer(process.kill)  # pytest would wait for it after a failure
    said = tmp_path / "said.out"
    while not (
        found := re.search(r"open +(http://127\.0\.0\.1:\d+)/\?token=(\S+)", said.read_text() if said.exists() else "")
    ):
        assert process.is_alive(), (tmp_path / "said.err").read_text()
        time.sleep(0.02)
    address, token = found[1], urllib.parse.unquote(found[2])
    assert token == TOKEN

    def ask(path: str, body: Any = None) -> Any:
        head = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.urlopen(urllib.request.Request(address + path, data, head), timeout=60)

    long = {"run": "digits", "n": 64, "settings": {"solver": "ddim", "steps": 1000}}
    ids = [json.load(ask("/api/jobs", long | {"seed": seed}))["id"] for seed in (1, 2)]
    with ask(f"/api/jobs/{ids[0]}/events") as events:
        assert events.readline().startswith(b"event: ")
        began = time.monotonic()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)
        assert finish(process) == 130
        assert time.monotonic() - began < 15
    assert "Traceback" not in (tmp_path / "said.err").read_text()
    store = Store(out)
    assert [(ticket.id, ticket.state) for ticket in store.tickets()] == [(id, "queued") for id in ids]
    store.close()


def test_what_keeps_it_from_starting(
    cli: Cli, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line each, before anything is loaded."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()

    def refused(*argv: str) -> str:
        assert cli("serve", *argv) == 2
        line = capfd.readouterr().err.strip()
        assert line.startswith("ddpm: ")
        assert "\n" not in line
        return line

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert f"--port {taken.getsockname()[1]}" in refused(str(digits_run), "--port", str(taken.getsockname()[1]))
    store = Store(tmp_path / "studio")
    assert "studio is being served by process" in refused(str(digits_run), "--port", "0")
    store.close()
    assert "nowhere" in refused("nowhere", "--port", "0")
    assert "empty" in refused("empty", "--port", "0")
    assert "--data nowhere" in refused(str(digits_run), "--data", "nowhere", "--port", "0")
    for flag, values in (
        ("--domain", ("https://x", "...", "a..org", "a-.org", "studio.example.org:99999", "studio.example.org:0")),
        ("--memory", ("nan", "inf", "1e+300", "0", "-1")),
    ):
        for value in values:
            assert f"{flag} {value}" in refused(str(digits_run), flag, value, "--port", "0")
    for token, why in (
        ("short", "5"),
        ("пароль-из-шестнадцати-букв", "spaces or"),
        ("sixteen letters and spaces", "spaces or"),
    ):
        monkeypatch.setenv("DDPM_TOKEN", token)
        assert f"DDPM_TOKEN has {why}" in refused(str(digits_run), "--port", "0")


def test_a_damaged_token_is_replaced_and_the_case_of_a_domain_ignored(
    cli: Cli, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DDPM_TOKEN", raising=False)
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: self._stopping())
    file = tmp_path / "token"
    file.write_bytes(b"\xff" * 32)
    flags = ("--port", "0", "--out", str(tmp_path), "--device", "cpu", "--domain", "Studio.Example.org:8443")
    assert cli("serve", str(digits_run), *flags) == 0
    assert re.fullmatch(r"[\w-]{32}", token := file.read_text())
    assert f"https://studio.example.org:8443/?token={token}\n" in capfd.readouterr().out
