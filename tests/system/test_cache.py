import os
import sys
from pathlib import Path

import pytest

from ddpm.system.cache import cache_folder, check_room
from refusal import refuses


def test_the_folder_is_the_users_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDPM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.parametrize(
    ("platform", "variable", "value", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "/x", "/x/ddpm"),
        ("darwin", "XDG_CACHE_HOME", "", "~/.cache/ddpm"),
        ("win32", "LOCALAPPDATA", "/local", "/local/ddpm"),
    ],
)
def test_or_where_the_system_keeps_such_things(
    monkeypatch: pytest.MonkeyPatch, platform: str, variable: str, value: str, expected: str
) -> None:
    monkeypatch.delenv("DDPM_CACHE")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, value)
    assert cache_folder() == Path(expected).expanduser()


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is run by a user it does not know; no folder is ever named ~."""
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DDPM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", str)
    for name, value in (("XDG_CACHE_HOME", ""), ("XDG_CACHE_HOME", "~nobody/c"), ("DDPM_CACHE", "~/c")):
        monkeypatch.setenv(name, value)
        with refuses("unwritable", value or "~/.cache/ddpm", "DDPM_CACHE"):
            cache_folder()
    monkeypatch.setenv("DDPM_CACHE", ".")
    assert cache_folder() == Path()


def test_room_is_checked(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    with refuses("unwritable", "1000000000"):
        check_room(tmp_path, 10**18)
