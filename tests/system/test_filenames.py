from pathlib import Path

from ddpm.system.filenames import natural, nfc, readable, refuse_bytes
from refusal import refuses


def test_numbers_in_names_are_ordered_by_value() -> None:
    names = ["a", "a1b", "a2", "a10", "a10b1", "b", "1", "02", "2", "10", "x" * 9]
    ordered = ["1", "02", "2", "10", "a", "a1b", "a2", "a10", "a10b1", "b", "x" * 9]
    assert sorted(names, key=natural) == ordered
    assert natural("9" * 9999) < natural("9" * 9999 + "0")


def test_letters_in_two_forms_are_one() -> None:
    assert nfc("cafe\u0301") == nfc("caf\u00e9") == "caf\u00e9"


def test_names_can_be_printed_whatever_their_bytes() -> None:
    for name, shown in [("caf\u00e9", "caf\u00e9"), ("caf\udce9", r"caf\xe9"), ("\ud83d", r"\xed\xa0\xbd")]:
        assert readable(name) == shown
        assert readable(name).encode()


def test_paths_that_no_record_can_hold_are_refused() -> None:
    refuse_bytes(Path("caf\u00e9"))
    with refuses("invalid", r"runs/caf\xe9"):
        refuse_bytes(Path("runs/caf\udce9"))
