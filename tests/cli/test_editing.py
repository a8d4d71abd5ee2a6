"""The commands that change given pictures, end to end, and what they say of input that they cannot use."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm.cli.pictures import folder_name

Cli = Callable[..., int]
Refused = Callable[..., str]
FAST = ("--steps", "3")


@pytest.fixture(name="digits_run")
def own_run(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, as what is made lies in the run's folder, and other tests share it."""
    return shutil.copytree(digits_run, tmp_path_factory.mktemp("own") / "digits")


@pytest.fixture
def files(digits_run: Path, tmp_path: Path) -> Path:
    """photo.png, other.png and wide.png; mask.png, its lower half white."""
    rng = np.random.default_rng(0)
    for name, size in (("photo", (8, 8)), ("other", (8, 8)), ("wide", (8, 12)), ("small", (4, 4))):
        Image.fromarray(rng.integers(0, 256, size).astype(np.uint8)).save(tmp_path / f"{name}.png")
    Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(tmp_path / "colour.png")
    for name, rows in (("mask", 4), ("empty", 8), ("full", 0)):
        Image.fromarray((255 * (np.arange(8)[:, None] >= rows) * np.ones(8)).astype(np.uint8)).save(
            tmp_path / f"{name}.png"
        )
    return tmp_path


def folder(run: Path, command: str, said: str) -> Path:
    """The one folder of a command whose name begins so, and ends with a hash."""
    (found,) = (path for path in (run / command).iterdir() if re.fullmatch(rf"{said}-[0-9a-f]{{6}}", path.name))
    return found


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_inpaint(cli: Cli, digits_run: Path, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = files / "out"
    argv = ["inpaint", digits_run, files / "photo.png", "--mask", files / "mask.png", "-n", "3", "--label", "7", *FAST]
    assert cli(*argv, "--out", out) == 0
    said = capsys.readouterr().out
    assert "filling       50 % of" in said
    assert "sampling      " in said
    assert ", mmps\n" in said
    assert said.splitlines()[-1] == str(out / "sheet.png")
    made = [pixels(out / f"{i:05d}.png") for i in range(3)]
    for image in made:
        np.testing.assert_array_equal(image[:4], pixels(files / "photo.png")[:4])
    assert (made[0] != made[1]).any()
    np.testing.assert_array_equal(pixels(out / "given.png"), pixels(files / "photo.png"))
    tinted = pixels(out / "preview.png")
    assert (tinted[4:, :, 0] > tinted[4:, :, 1]).all()
    # five pictures, 16 times as large, with 4 between
    assert Image.open(out / "sheet.png").size == (5 * 128 + 4 * 4, 128)
    assert cli(*argv, "--repaint", "1x2") == 0
    assert (folder(digits_run, "inpaint", "photo-mask-1x2-7-n3-seed0-steps3") / "00002.png").exists()
    assert cli(*argv, "--method", "ddnm", "--out", files / "fast") == 0
    assert ", repaint 1x2\n" in (said := capsys.readouterr().out)
    assert ", ddnm\n" in said
    assert (pixels(files / "fast" / "00000.png") != made[0]).any()


def test_outpaint(cli: Cli, digits_run: Path, files: Path) -> None:
    assert cli("outpaint", digits_run, files / "photo.png", "--left", "2", "--bottom", "3", *FAST) == 0
    made = pixels(folder(digits_run, "outpaint", "photo-left2-bottom3-n1-seed0-steps3") / "00000.png")
    assert made.shape == (11, 10)
    np.testing.assert_array_equal(made[:8, 2:], pixels(files / "photo.png"))


def test_edit(cli: Cli, digits_run: Path, files: Path) -> None:
    for strength in ("0", "0.6", "1"):
        assert cli("edit", digits_run, files / "photo.png", "--strength", strength, "--seed", "4", *FAST) == 0
    made = {
        s: folder(digits_run, "edit", f"photo-strength{s}-n1-seed4-steps3") / "00000.png" for s in ("0", "0.6", "1")
    }
    np.testing.assert_array_equal(pixels(made["0"]), pixels(files / "photo.png"))
    assert cli("sample", digits_run, "-n", "1", "--seed", "4", *FAST, "--out", files / "new") == 0
    np.testing.assert_array_equal(pixels(made["1"]), pixels(files / "new" / "00000.png"))
    assert (pixels(made["0.6"]) != pixels(made["1"])).any()


def test_restore(cli: Cli, digits_run: Path, files: Path) -> None:
    assert cli("restore", digits_run, files / "small.png", "--operator", "downsample:2", "-n", "2", *FAST) == 0
    out = folder(digits_run, "restore", "small-downsample_2-n2-seed0-steps3")
    made = [pixels(out / f"0000{i}.png") for i in (0, 1)]
    assert made[0].shape == (8, 8)
    assert (made[0] != made[1]).any()
    mask = f"mask:{files / 'mask.png'}"
    assert cli("restore", digits_run, files / "photo.png", "--operator", mask, "--out", files / "m", *FAST) == 0
    np.testing.assert_array_equal(pixels(files / "m" / "00000.png")[:4], pixels(files / "photo.png")[:4])
    assert cli("restore", digits_run, files / "photo.png", "--operator", "blur:0.5", *FAST) == 0


def test_a_part_that_is_gone_is_inpainted(
    cli: Cli, digits_run: Path, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, said = (files / "restored", files / "inpainted"), []
    for argv, folder in zip(
        (("restore", "--operator", f"mask:{files / 'mask.png'}"), ("inpaint", "--mask", files / "mask.png")),
        out,
        strict=True,
    ):
        command, *mask = argv
        assert cli(command, digits_run, files / "photo.png", *mask, "--method", "ddnm", *FAST, "--out", folder) == 0
        said.append(capsys.readouterr().out.replace(str(folder), "OUT"))
    assert said[0] == said[1]
    assert "filling       50 % of" in said[0]
    made = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in out]
    assert made[0] == made[1]
    assert {"given.png", "preview.png"} < made[0].keys()


def test_interpolate(cli: Cli, digits_run: Path, files: Path) -> None:
    argv = ["interpolate", digits_run, files / "photo.png", files / "other.png", "-n", "4", "--batch", "3", *FAST]
    assert cli(*argv, "--label", "3", "--out", files / "one label for both ends") == 0
    assert cli(*argv, "--label", "3", "--label", "8") == 0
    out = folder(digits_run, "interpolate", "photo-other-3_8-n4-steps3")
    assert sorted(path.name for path in out.iterdir()) == [
        *(f"0000{i}.png" for i in range(4)),
        "film.gif",
        "sheet.png",
    ]
    with Image.open(out / "film.gif") as film:
        assert film.n_frames == 6  # to the other end, and back to before the first


def test_what_a_picture_says_repeats_it(cli: Cli, refused: Refused, digits_run: Path, files: Path) -> None:
    for argv, last in [
        (("inpaint", "colour.png", "--mask", "mask.png", "--fit", "crop", "-n", "2"), "00001.png"),
        (("outpaint", "photo.png", "--left", "2", "--no-clip", "--guidance", "2", "--label", "3"), "00000.png"),
        (("outpaint", "photo.png", "--top", "2", "--repaint", "1x2"), "00000.png"),
        (("outpaint", "photo.png", "--left", "4", "--whole", "--method", "ddnm"), "00000.png"),
        (("restore", "photo.png", "--operator", "blur:1", "--method", "ddnm"), "00000.png"),
        (("edit", "photo.png", "--strength", "0.5", "--seed", "7", "--solver", "ddim", "--eta", "0.5"), "00000.png"),
        (("restore", "small.png", "--operator", "downsample:2", "--noise", "3", "--grid", "1000,400,20"), "00000.png"),
        (("interpolate", "photo.png", "other.png", "-n", "3", "--label", "3", "--label", "8"), "00001.png"),
        (("interpolate", "-n", "3", "--label", "3", "--label", "8", "--solver", "ddim"), "00001.png"),
    ]:
        command, *rest = (str(files / word) if word.endswith(".png") else word for word in argv)
        steps = () if "--grid" in rest else FAST
        assert cli(command, digits_run, *rest, *steps, "--out", files / "one") == 0
        said = refused("sample", "--from", files / "one" / last, kept=files)
        (typed,) = re.findall(r": ddpm (.*)", said)
        assert cli(*shlex.split(typed), "--out", files / "two") == 0
        np.testing.assert_array_equal(pixels(files / "one" / last), pixels(files / "two" / last))


FURTHER = ("--label 3", "-n 2", "--fit pad", "--steps 3")
"""Flags of every command that make it another."""
DRAWN = (*FURTHER, "--seed 1", "--solver ddim", "--no-clip", "--label 3 --guidance 2", "--label 3 --guidance 3")


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (
            "edit",
            [
                *(f"photo.png --strength 0.3 {more}" for more in ("", *DRAWN)),
                *("elsewhere/photo.png --strength 0.3", "photo.png --strength 0.300001"),
            ],
        ),
        (
            "outpaint",
            [
                *(f"photo.png --left {margins} --method ddnm" for margins in ("2", "4", "4 --whole", "2 --right 2")),
                *("photo.png --left 2 --repaint 1x1", "elsewhere/photo.png --left 2 --method ddnm"),
            ],
        ),
        (
            "inpaint",
            [
                *(f"photo.png --mask mask.png {more}" for more in ("--method ddnm", "--method mmps", "--repaint 1x1")),
                *(f"photo.png --mask {mask}.png --method ddnm" for mask in ("elsewhere/mask", "other_mask")),
            ],
        ),
        ("restore", [f"photo.png --operator blur:{more}" for more in ("1", "2", "1 --noise 2", "1 --method ddnm")]),
        (
            "interpolate",
            [
                *(f"photo.png other.png {more}" for more in ("", *FURTHER, "--label 3 --label 8")),
                *("elsewhere/photo.png other.png", "other.png photo.png"),
            ],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_command_has_another_folder_and_the_same_its_own(
    cli: Cli, digits_run: Path, files: Path, command: str, lines: list[str]
) -> None:
    (files / "elsewhere").mkdir()
    for name, other in (("photo", "elsewhere/photo"), ("mask", "elsewhere/mask"), ("mask", "other_mask")):
        Image.open(files / f"{name}.png").rotate(180).save(files / f"{other}.png")
    here = digits_run / command

    def written(line: str) -> set[Path]:
        before = {path: path.stat().st_mtime_ns for path in here.rglob("*.png")}
        words = [files / word if word.endswith(".png") else word for word in line.split()]
        assert cli(command, digits_run, *words, *([] if "--steps" in line else ["--steps", "2"])) == 0
        return {path.parent for path in here.rglob("*.png") if before.get(path) != path.stat().st_mtime_ns}

    folders = [written(line) for line in lines]
    assert [len(each) for each in folders] == [1] * len(lines)
    assert len(set.union(*folders)) == len(lines)
    assert written(lines[0]) == folders[0]


def test_a_folder_has_a_name_that_file_systems_take() -> None:
    given = [Path("ä" * 120 + ".png"), Path("b" * 250 + ".png")]
    names = {folder_name(given, {"label": "a/b: c", "seed": seed}, None) for seed in (0, 1)}
    assert len(names) == 2
    assert all(len(name.encode()) <= 255 for name in names)
    assert folder_name([Path("x/a b.png")], {"label": "a/b", "clip": False, "eta": 1.0, "fit": None}, 0).startswith(
        "a_b-a_b-no_clip-eta1-"
    )


def test_no_given_picture_is_overwritten(refused: Refused, digits_run: Path, files: Path) -> None:
    """photo.png, the picture or the mask, lies where a file would be written, or that leads there."""
    for argv, named in [
        (["edit", "photo.png", "--strength", "0.5"], "00000.png"),
        (["edit", "photo.png", "--strength", "0", "-n", "3"], "00002.png"),
        (["outpaint", "photo.png", "--left", "2"], "sheet.png"),
        (["restore", "photo.png", "--operator", "blur:1"], "00000.png"),
        (["inpaint", "photo.png", "--mask", "mask.png"], "given.png"),
        (["inpaint", "mask.png", "--mask", "photo.png"], "preview.png"),
        (["interpolate", "photo.png", "other.png", "-n", "2"], "00001.png"),
        (["interpolate", "other.png", "photo.png", "-n", "2"], "film.gif"),
    ]:
        for link in [False, True]:
            out = files / "out"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            if link:
                (out / named).symlink_to(files / "photo.png")
            else:
                shutil.copy(files / "mask.png" if argv[0] == "inpaint" else files / "photo.png", out / named)
            place = {word: files / word for word in ("photo.png", "other.png", "mask.png")}
            if not link:
                place["photo.png"] = out / named
            command, *rest = (place.get(word, word) for word in argv)
            said = refused(command, digits_run, *rest, *FAST, "--out", out, kept=files)
            assert f"{out / named} is an input and would be overwritten; choose another --out" in said
            if not link:
                assert refused(command, digits_run, *rest, *FAST, "--out", out / ".." / "out", kept=files)


def test_no_picture_from_elsewhere_is_overwritten(cli: Cli, refused: Refused, digits_run: Path, files: Path) -> None:
    """But those of earlier commands are."""
    for name in ["00000.png", "sheet.png", "given.png"]:
        argv = ("edit", digits_run, files / "photo.png", "--strength", "0.5", *FAST, "--out", files / "mine")
        shutil.rmtree(files / "mine", ignore_errors=True)
        (files / "mine").mkdir()
        shutil.copy(files / "other.png", files / "mine" / name)
        said = refused(*argv, kept=files)
        assert f"{files / 'mine' / name} already exists and was not written by ddpm; choose another --out" in said
        (files / "mine" / name).unlink()
        assert cli(*argv) == 0
        assert cli(*argv) == 0


def test_samples_overwrite_nothing_from_elsewhere(
    cli: Cli, refused: Refused, digits_run: Path, files: Path, tmp_path: Path
) -> None:
    """But those of earlier commands, their sheets and their films."""
    out = tmp_path / "mine"
    for argv, name in [
        (("-n", "2"), "00001.png"),
        (("-n", "2"), "grid.png"),
        (("-n", "2", "--trajectory"), "00001.gif"),
        (("-n", "2", "--trajectory"), "00000-trajectory.png"),
    ]:
        assert cli("sample", digits_run, *argv, *FAST, "--out", out) == 0
        assert cli("sample", digits_run, *argv, *FAST, "--out", out) == 0
        with Image.open(files / "other.png") as foreign:
            foreign.save(out / name, save_all=name.endswith("gif"))
        said = refused("sample", digits_run, *argv, *FAST, "--out", out, kept=out)
        assert f"{out / name} already exists and was not written by ddpm" in said
        shutil.rmtree(out)
    interpolated = ("interpolate", digits_run, "--label", "1", "--label", "2", *FAST, "--out", out)
    assert cli(*interpolated) == 0
    assert cli(*interpolated) == 0
    assert cli("sample", digits_run, "-n", "1", *FAST, "--out", out / "one") == 0
    shutil.copy(files / "other.png", out / "one" / "00000-again.png")
    assert "00000-again.png already exists" in refused("sample", "--from", out / "one" / "00000.png", kept=out)


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_drawn(
    refused: Refused, digits_run: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object, **keywords: object) -> None:
        raise AssertionError

    monkeypatch.setattr("ddpm.engine.diffusion.Diffusion.draw", never)
    argv = ("edit", digits_run, files / "photo.png", "--strength", "0.5", *FAST, "--out")
    said = refused(*argv, files / "photo.png" / "new", kept=files)
    assert f"{files / 'photo.png'} is a file; choose another --out" in said
    monkeypatch.setattr("os.access", lambda path, mode: path != files)
    assert f"{files} is not writable; choose another --out" in refused(*argv, files / "new", kept=files)


def test_the_given_picture_is_first_on_the_sheet(cli: Cli, digits_run: Path, files: Path) -> None:
    for command in ["edit --strength 0.5", "outpaint --left 2", "restore --operator blur:1"]:
        name, *rest = command.split()
        assert cli(name, digits_run, files / "photo.png", *rest, *FAST, "--out", files / "out") == 0
        np.testing.assert_array_equal(pixels(files / "out" / "given.png"), pixels(files / "photo.png"))
        sheet = pixels(files / "out" / "sheet.png")
        np.testing.assert_array_equal(sheet[::16, :128:16, 0][:8], pixels(files / "photo.png"))
