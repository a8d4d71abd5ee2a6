from ddpm.system.filenames import natural, nfc, readable


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
