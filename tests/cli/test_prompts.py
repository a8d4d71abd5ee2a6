"""Prompts on the command line."""

from tests.tiny import loaded

from ddpm.cli.prompts import NOTES, remarks


def test_notes_are_few_however_many_prompts_need_one() -> None:
    run = loaded("RGB", text=True)
    prompts = [f"red {chr(97 + i)}z" for i in range(26)]
    lines = remarks(run, prompts, run.config.sampling)
    assert len(lines) == NOTES + 1
    assert all(word in line for word, line in zip(("az", "bz", "cz"), lines, strict=False))
    assert f"({26 - NOTES})" in lines[-1]
    assert remarks(run, ["red heart", *prompts[:2]], run.config.sampling) == lines[:2]
