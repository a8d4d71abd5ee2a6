import json
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ddpm.config.sampling import SamplingConfig
from ddpm.records.provenance import KEY, Provenance, Work, image_hash, save
from ddpm.system.errors import InputError
from refusal import refuses

RECORD = Provenance(
    run="runs/a",
    weights="abc",
    seed=3,
    index=7,
    label="Kätzchen “x”",
    sampling=SamplingConfig.of(solver="ddim", steps=4, eta=0.25),
)


def test_through_a_png(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save(RECORD.attach(Image.new("L", (2, 2), 9)), path)
    assert Provenance.read(path) == RECORD
    with Image.open(path) as image:
        assert image.mode == "L"
        assert image.getpixel((0, 0)) == 9


def test_what_was_done_with_given_pictures_is_written_and_can_be_typed(tmp_path: Path) -> None:
    options = {"mask": "my mask.png", "strength": 0.5, "n": 2, "preview": True, "fit": None, "consistent": False}
    work = Work(command="edit", given=(("a.png", "1f"), ("b.png", "2e")), options=options, mask="3d")
    how = {"guidance": 2.0, "guidance_interval": (0.2, 5.0), "guide_with": {"checkpoint": "step-8", "weights": "4c"}}
    sampling = SamplingConfig.of(**{"steps": 4, "eta": 0.25, "clip": False, "size": (9, 9)} | how)
    record = RECORD.model_copy(update={"work": work, "sampling": sampling, "label": "a cat"})
    save(record.attach(Image.new("L", (2, 2))), tmp_path / "a.png")
    assert Provenance.read(tmp_path / "a.png") == record
    assert record.command() == (
        "ddpm edit runs/a a.png b.png --mask 'my mask.png' --strength 0.5 --n 2 --preview --no-consistent "
        "--label 'a cat' --seed 3 --solver ddim --eta 0.25 --steps 4 --grid trailing --guidance 2.0 "
        "--guide-with step-8 --guidance-interval 0.2 5.0 --no-clip"
    )


def test_guidance_that_leads_nowhere_is_not_typed() -> None:
    """The run's own, where a picture has no label; to type it would be refused."""
    work = Work(command="edit", given=(), options={})
    record = RECORD.model_copy(update={"work": work, "sampling": SamplingConfig.of(guidance=2.0), "label": None})
    assert "guidance" not in record.command()


def test_a_fixed_rule_is_typed_without_seed_and_settings() -> None:
    work = Work(command="interpolate", given=(("a", "1"), ("b", "2")), options={"label": ("cat", "dog")}, drawn=False)
    record = RECORD.model_copy(update={"work": work})
    assert record.command() == "ddpm interpolate runs/a a b --label cat --label dog"
    assert Provenance.model_validate_json(record.model_dump_json()) == record


def test_pictures_of_one_name_are_two() -> None:
    work = Work(command="interpolate", given=(("a", "1"), ("a", "1")), options={"n": 3}, drawn=False)
    record = RECORD.model_copy(update={"work": work})
    assert record.command() == "ddpm interpolate runs/a a a --n 3"
    assert Provenance.model_validate_json(record.model_dump_json()) == record


def test_names_of_any_bytes_can_be_written() -> None:
    work = Work(command="inpaint", given=(("p\udce9.png", "1f"),), options={"mask": "m\udce9.png"})
    again = Work.model_validate_json(work.model_dump_json())
    assert again == work
    assert (work.given[0][0], work.options["mask"]) == (r"p\xe9.png", r"m\xe9.png")


def test_a_fingerprint_is_of_mode_size_and_pixels() -> None:
    images = [
        Image.new("L", (2, 3), 9),
        Image.new("L", (3, 2), 9),
        Image.new("L", (2, 3), 8),
        Image.new("P", (2, 3), 9),
    ]
    assert len({image_hash(image) for image in images}) == 4
    assert image_hash(images[0]) == image_hash(images[0].copy())


def test_nothing_is_left_to_a_default() -> None:
    """A later version with other defaults must draw the same picture."""
    written = json.loads(RECORD.model_dump_json())
    assert written["sampling"] == RECORD.sampling.model_dump()
    assert set(written["sampling"]) == set(SamplingConfig.model_fields)


def test_a_picture_without_a_record_can_be_saved(tmp_path: Path) -> None:
    save(Image.new("RGB", (2, 2)), tmp_path / "a.png")
    with refuses("missing", "a.png"):
        Provenance.read(tmp_path / "a.png")


def test_what_is_no_picture(tmp_path: Path, raw_png_60000: bytes) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "huge.png").write_bytes(raw_png_60000)
    (tmp_path / "folder.png").mkdir()
    for name in ("text.png", "folder.png"):
        with refuses("unreadable", name):
            Provenance.read(tmp_path / name)
    with refuses("missing", "huge.png"):  # only its header is read, which has no record
        Provenance.read(tmp_path / "huge.png")
    with refuses("missing"):
        Provenance.read(tmp_path / "none.png")


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"format": 1}'])
def test_a_record_of_another_version(text: str, tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text(KEY, text)
    Image.new("L", (2, 2)).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(InputError, match=r"the record in .*a\.png"):
        Provenance.read(tmp_path / "a.png")


def test_the_run_is_where_it_was_or_above_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture = tmp_path / "moved" / "samples" / "x" / "0.png"
    picture.parent.mkdir(parents=True)
    with refuses("missing", "runs/a"):
        RECORD.find_runs(picture)
    (tmp_path / "moved" / "config.json").write_text("{}")
    (tmp_path / "runs" / "a").mkdir(parents=True)  # of the same name, but no run
    assert RECORD.find_runs(picture) == [tmp_path / "moved"]
    (tmp_path / "runs" / "a" / "config.json").write_text("{}")
    assert RECORD.find_runs(picture) == [Path("runs/a"), tmp_path / "moved"]
