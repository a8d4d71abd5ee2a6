from ddpm.report.numbers import amount, measured, percent, signed


def test_amounts() -> None:
    for number, said in [
        (0, "0"),
        (950, "950"),
        (7664, "7.66 k"),
        (153_152, "153 k"),
        (2e6, "2 M"),
        (0.05, "0.05"),
        (-3, "−3"),
    ]:
        assert amount(number) == said


def test_measured_numbers_have_about_three_digits() -> None:
    for number, said in [
        (0.0123, "0.0123"),
        (0.612, "0.612"),
        (8.414, "8.41"),
        (23.56, "23.6"),
        (1204.4, "1,204"),
        (-0.0004, "−0.0004"),
    ]:
        assert measured(number) == said


def test_shares_keep_their_sign_on_the_line() -> None:
    for share, said in [(0, "0"), (1, "100"), (0.58, "58.0"), (0.0421, "4.2"), (2 / 2048, "0.10"), (0.00045, "0.04")]:
        assert percent(share) == f"{said}\u00a0%"


def test_differences_have_a_sign() -> None:
    assert (signed(0.02), signed(-0.02)) == ("+0.020", "−0.020")
