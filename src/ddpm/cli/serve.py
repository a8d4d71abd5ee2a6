"""``ddpm serve``."""

import math
import os
import re
import secrets
import signal
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from cyclopts import Parameter

from ddpm.cli.output import say
from ddpm.system import peers
from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"{LABEL}([.]{LABEL})*(:(?P<port>[1-9][0-9]{{0,4}}))?")
"""A host name in lower case (RFC 1123), with its port if unusual."""
TOKEN = "DDPM_TOKEN"
"""The environment variable of the token."""
TOKENS = re.compile("[!-~]{16,}")
"""Tokens that HTTP headers and addresses can carry."""


def serve(
    runs: Annotated[list[Path], Parameter(negative_iterable=())],
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    out: Path = Path("studio"),
    data: Path | None = None,
    domain: str | None = None,
    memory: float | None = None,
    device: str | None = None,
) -> None:
    """Serve runs: a page to generate, edit and compare, and an API for programs.

    The address that it prints has a token, which programs send as "Authorization: Bearer TOKEN". Set DDPM_TOKEN to
    choose it.

    Args:
        runs: Run folders, or folders of runs, in which new ones are found as well.
        host: The address to listen on; 0.0.0.0 for all of this machine's.
        port: The port to listen on; 0 for any that is free.
        out: The folder of the queue and of finished pictures, which survive a restart.
        data: A folder of images and archives that the page may start trainings on; none by default.
        domain: The name of a proxy on this machine through which others reach the server, such as studio.example.org.
        memory: Gigabytes of weights to keep in memory; half of the free memory by default.
        device: cpu, to sample without the GPU; the best available by default.
    """
    try:
        from ddpm.serve.app import create
        from ddpm.serve.listening import bound, http_server
    except ImportError as error:
        raise InputError("missing", f"{error.name} is not installed; run `pip install 'ddpm[serve]'`") from error
    if domain is not None:
        domain = domain.lower()
        if not (found := DOMAIN.fullmatch(domain)) or int(found["port"] or 443) >= 1 << 16:
            raise InputError("invalid", f"--domain {domain} is not a name; use one such as studio.example.org")
    if memory is not None and not 0 < memory * 1e9 < math.inf:
        raise InputError("invalid", f"--memory {memory:g} is not a size; use a positive number of gigabytes, such as 4")
    import psutil

    from ddpm.serve.catalog import Catalog
    from ddpm.serve.server import Server
    from ddpm.serve.training import Trainings

    limit = int(psutil.virtual_memory().available / 2 if memory is None else memory * 1e9)
    own, trainings = out / "runs", None
    if data is not None:
        if not data.is_dir():
            raise InputError("missing", f"--data {data} is not a folder; use one that holds folders of images")
        trainings = Trainings(data, own, out / "uploads")
        with disk_errors(own, "use another --out"):
            own.mkdir(parents=True, exist_ok=True)
    catalog = Catalog([*runs, *([own] if own.is_dir() else [])], limit, device)
    if not catalog.folders() and trainings is None:
        raise InputError("missing", f"no finished run in {', '.join(map(str, runs))}; use run folders")
    with bound(host, port) as listening:
        server = Server.of(catalog, out, _token(out), trainings)
        shown = f"[{host}]" if ":" in host else host if host in LOOPBACK else "127.0.0.1"
        say(f"serving    {', '.join(catalog.folders()) or 'no run yet'}")
        say(f"open       http://{shown}:{listening.getsockname()[1]}/?token={quote(server.token, safe='')}")
        if domain is not None:
            say(f"elsewhere  https://{domain}/?token={quote(server.token, safe='')}")
        app = create(server, frozenset(LOOPBACK) if host in LOOPBACK else None, domain)
        try:
            http_server(app, server.stop, behind_proxy=domain is not None).run([listening])
        except KeyboardInterrupt:
            if server.worker.is_alive():  # in a long step, around which Python cannot end without aborting
                peers.say("interrupted")
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(128 + signal.SIGINT)
            raise


def _token(out: Path) -> str:
    """The token: of the environment, or that of the last start, so that bookmarks stay valid; else a new one."""
    if chosen := os.environ.get(TOKEN):
        if len(chosen) < 16:
            raise InputError("invalid", f"{TOKEN} has {len(chosen)} characters; use at least 16")
        if not TOKENS.fullmatch(chosen):
            raise InputError("invalid", f"{TOKEN} has spaces or non-ASCII characters; use letters and digits")
        return chosen
    path = out / "token"
    if path.exists() and TOKENS.fullmatch(found := path.read_text("ascii", errors="replace").strip()):
        return found
    token = secrets.token_urlsafe(24)
    out.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(token)
    return token
