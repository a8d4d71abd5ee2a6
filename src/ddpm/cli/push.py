"""``ddpm push``."""

from pathlib import Path

from ddpm.cli.output import say


def push(run: Path, name: str, /, *, private: bool = False) -> None:
    """Upload a run to huggingface.co: what it samples with, its card and its previews.

    Log in first with `hf auth login`. Anyone then opens it by ddpm.load("hf://OWNER/NAME").

    Args:
        run: A run folder.
        name: The repository, OWNER/NAME; it is created if necessary.
        private: Create it as a private one.
    """
    from ddpm.exchange.hub import push as upload
    from ddpm.system.names import HUB

    files = upload(run, name, private=private)
    say(f"{len(files)} files uploaded to https://huggingface.co/{name}", f'next: ddpm.load("{HUB}{name}")')
