from ddpm.config import suggest


def test_suggest() -> None:
    assert suggest("ct", ["cat", "dog"]) == " (did you mean 'cat'?)"
    assert suggest("zebra", ["cat", "dog"]) == " (known: cat, dog)"
