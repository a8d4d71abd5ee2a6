import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

import forked
from ddpm.system import files as storage
from ddpm.system.errors import InputError
from ddpm.training.checkpoint import Checkpoint, Damaged, load_into, newest, paths, prune, read, write
from refusal import refuses

FILES = ("model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json", "manifest.json")


def make(step: int) -> Checkpoint:
    g = torch.Generator().manual_seed(step)
    tensors = {
        stem: {"a.weight": torch.randn(3, 4, 2, 2, generator=g), "b": torch.tensor(float(step))}
        for stem in ("model", "ema", "optimizer")
    }
    tensors["model"]["a.weight"] = tensors["model"]["a.weight"].to(memory_format=torch.channels_last)
    return Checkpoint(step, tensors, {"skipped": 1, "ema_updates": step - 1, "scaler": {"scale": 2.0}})


def same(a: Checkpoint, b: Checkpoint) -> bool:
    return (
        (a.step, a.state) == (b.step, b.state)
        and a.tensors.keys() == b.tensors.keys()
        and all(
            a.tensors[s].keys() == b.tensors[s].keys()
            and all(torch.equal(a.tensors[s][n], b.tensors[s][n]) for n in a.tensors[s])
            for s in a.tensors
        )
    )


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x80
    path.write_bytes(data)


def remove(path: Path) -> None:
    path.unlink()


def turn_into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, make(12))
    assert path == tmp_path / "step-000000012"
    assert sorted(p.name for p in path.iterdir()) == sorted(FILES)
    assert same(read(path), make(12))
    assert list(tmp_path.iterdir()) == [path]


def sampled(step: int) -> Checkpoint:
    """A checkpoint with the losses that levels are sampled by."""
    made = make(step)
    return Checkpoint(step, made.tensors | {"levels": {"losses": torch.rand(4, 10)}}, made.state)


def test_the_losses_that_levels_are_sampled_by_are_a_part_too(tmp_path: Path) -> None:
    state = sampled(3)
    path = write(tmp_path, state)
    assert same(read(path), state)
    (path / "levels.safetensors").unlink()
    with pytest.raises(Damaged, match=r"levels\.safetensors is missing"):
        read(path)


@pytest.mark.parametrize("name", FILES)
def test_any_damage_is_named_and_the_older_checkpoint_is_taken(name: str, tmp_path: Path) -> None:
    write(tmp_path, make(10))
    for damage in (truncate, empty, flip, remove, turn_into_a_folder):
        path = write(tmp_path, make(20))  # in place of the damaged one
        damage(path / name)
        found, passed_over = newest(tmp_path)
        assert found is not None
        assert same(found, make(10)), damage
        assert len(passed_over) == 1, damage
        assert all(said in passed_over[0] for said in (str(path), "damaged", name)), damage


def test_every_byte_of_the_manifest_counts(tmp_path: Path) -> None:
    path = write(tmp_path, make(1)) / "manifest.json"
    good = path.read_bytes()
    for i in range(len(good)):
        path.write_bytes(good[:i] + bytes([good[i] ^ 0x80]) + good[i + 1 :])
        with pytest.raises(Damaged, match="manifest"):
            read(path.parent)


def test_a_manifest_of_something_else(tmp_path: Path) -> None:
    path = write(tmp_path, make(1))
    for text, said in [
        ('{"format": 3, "sha256": {}}', "format 3"),
        ('{"format": 2, "sha256": {}}', "lists nothing"),
        ('{"format": 2, "sha256": {"state.json": ""}}', "lists state.json"),
        ('{"format": 2}', "cannot be read"),
        ("[]", "cannot be read"),
        ("3", "cannot be read"),
    ]:
        (path / "manifest.json").write_text(text)
        with pytest.raises(Damaged, match=said):
            read(path)


@pytest.mark.parametrize(
    "change",
    [
        *({"step": step} for step in ("1", None, 2, -1)),
        *({"skipped": None}, {"ema_updates": float("nan")}, {"ema_updates": True}),
        *({"scaler": 3}, {"scaler": {"scale": float("inf")}}),
    ],
)
def test_a_state_that_is_none(change: dict[str, object], tmp_path: Path) -> None:
    """Though it matches its hash."""
    path = write(tmp_path, make(1))
    state = json.loads((path / "state.json").read_text()) | change
    state = {name: value for name, value in state.items() if value is not None}
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "state.json").write_text(json.dumps(state))
    manifest["sha256"]["state.json"] = storage.sha256_of(path / "state.json")
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Damaged, match=r"state\.json"):
        read(path)


def test_all_damaged_is_as_none(tmp_path: Path) -> None:
    for step in (1, 2):
        remove(write(tmp_path, make(step)) / "state.json")
    found, passed_over = newest(tmp_path)
    assert found is None
    assert ["step-000000002" in passed_over[0], "step-000000001" in passed_over[1]] == [True, True]


def test_no_folder_is_as_none(tmp_path: Path) -> None:
    assert newest(tmp_path / "checkpoints") == (None, [])


def test_a_damaged_checkpoint_is_written_anew(tmp_path: Path) -> None:
    flip(write(tmp_path, make(5)) / "ema.safetensors")
    assert same(read(write(tmp_path, make(5))), make(5))


@pytest.mark.parametrize("timestep", ["during the 1st sync", "during the 4th sync", "before the rename"])
def test_a_process_killed_while_it_writes_leaves_no_checkpoint(timestep: str, tmp_path: Path) -> None:
    write(tmp_path, make(1))
    script = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from test_checkpoint import make
from ddpm.training import checkpoint
kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
timestep, calls = sys.argv[1], []
if timestep == "before the rename":
    Path.replace = kill
else:
    sync = os.fsync
    def fsync(handle):
        calls.append(handle)
        if len(calls) == int(timestep.split()[2][0]):
            kill()
        sync(handle)
    os.fsync = fsync
checkpoint.write(Path(sys.argv[2]), make(2))
"""
    here = map(str, Path(__file__).parents[:2])  # with the tests' own modules
    output = tmp_path.with_name("killed")
    died = forked.start(script, timestep, str(tmp_path), *here, output=output)
    assert forked.finish(died) == -9, output.with_suffix(".err").read_text()
    assert [p.name for p in paths(tmp_path)] == ["step-000000001"]
    assert [p.name for p in tmp_path.glob(".*")] == [".step-000000002.part"]
    # the next write takes no harm from the rest, and the next pruning takes it away
    assert same(read(write(tmp_path, make(2))), make(2))
    (tmp_path / ".step-000000009.part").mkdir()
    prune(tmp_path / "step-000000002", keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000000001", "step-000000002"]


def test_prune_keeps_the_last(tmp_path: Path) -> None:
    for step in (5, 10, 900, 1000):
        last = write(tmp_path, make(step))
    for keep in (3, 2, 1):
        prune(last, keep)
        assert [int(p.name[5:]) for p in paths(tmp_path)] == [5, 10, 900, 1000][-keep:]
        assert same(read(last), make(1000))


def test_prune_takes_damaged_checkpoints_of_later_steps_before_good_ones(tmp_path: Path) -> None:
    write(tmp_path, make(10))
    flip(write(tmp_path, make(20)) / "model.safetensors")
    prune(write(tmp_path, make(12)), keep=1)
    assert [p.name for p in paths(tmp_path)] == ["step-000000012"]


def test_prune_keeps_the_best_of_each_that_stays(tmp_path: Path) -> None:
    """A run that must go on from the one before the last finds its best, too."""
    for step, best in ((5, None), (10, 5), (20, 10), (30, 10), (40, 40)):
        named = make(step)
        last = write(
            tmp_path, Checkpoint(step, named.tensors, named.state | ({"best": {"step": best}} if best else {}))
        )
        prune(last, keep=2)
        expected = {5: [5], 10: [5, 10], 20: [5, 10, 20], 30: [10, 20, 30], 40: [10, 30, 40]}[step]
        assert [int(p.name[5:]) for p in paths(tmp_path)] == expected


def test_prune_takes_no_word_of_a_damaged_state(tmp_path: Path) -> None:
    for state in ("", "[]", '{"best": null}', '{"best": {}}', '{"best": {"step": "../.."}}'):
        for step in (1, 2, 3):
            last = write(tmp_path, make(step))
        (last / "state.json").write_text(state)
        prune(last, keep=1)
        assert [p.name for p in paths(tmp_path)] == ["step-000000003"], state


def test_prune_leaves_what_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "step-notes.txt").write_text("mine")
    prune(write(tmp_path, make(1)), keep=1)
    assert (tmp_path / "step-notes.txt").read_text() == "mine"


def test_a_full_disk_leaves_the_older_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, make(1))
    sync, calls = os.fsync, []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(storage.os, "fsync", fsync)
    with refuses("unwritable", "000000002"):
        write(tmp_path, make(2))
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000001"]
    found, passed_over = newest(tmp_path)
    assert found is not None
    assert same(found, make(1))
    assert passed_over == []


def test_a_full_disk_keeps_a_damaged_step_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, make(1))
    before = {p.name: p.read_bytes() for p in path.iterdir()}

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with refuses("unwritable"):
        write(tmp_path, make(1))
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before


def test_tensors_are_copied_by_name() -> None:
    target = {"a": torch.zeros(2, 3), "b": torch.zeros(())}
    load_into(target, {"b": torch.tensor(2.0), "a": torch.ones(2, 3)}, "it")
    assert torch.equal(target["a"], torch.ones(2, 3))
    assert target["b"] == 2


def test_foreign_tensors_are_refused_by_name_and_nothing_is_copied() -> None:
    target = {"a": torch.zeros(2), "b": torch.zeros(1)}
    for source, said in [
        ({"a": torch.ones(2)}, r"lacks b;"),
        ({"a": torch.ones(2), "b": torch.ones(1), "c": torch.ones(1)}, r"has unknown c;"),
        ({"x": torch.ones(2), "a": torch.ones(2)}, r"lacks b and has unknown x;"),
        ({"a": torch.ones(3), "b": torch.ones(1)}, r"a .*\(3,\), not \(2,\);"),
        ({"a": torch.ones(2), "b": torch.ones(1, 1)}, r"b .*\(1, 1\), not \(1,\);"),
    ]:
        with pytest.raises(InputError, match="^the file does not fit this configuration: .*" + said):
            load_into(target, source, "the file")
        assert all(not t.any() for t in target.values()), said


def test_many_foreign_names_are_shortened() -> None:
    with refuses("incompatible"):
        load_into({str(i): torch.zeros(1) for i in range(10)}, {}, "it")


def test_a_copied_checkpoint_is_whole(tmp_path: Path) -> None:
    copied = shutil.copytree(write(tmp_path / "a", make(3)), tmp_path / "b")
    assert same(read(copied), make(3))
