from ddpm.system.units import count, duration, say_bytes, say_count, say_seconds, size, write_duration
from refusal import refuses


def test_duration() -> None:
    for text, seconds in [
        ("90s", 90),
        ("20m", 1200),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("1.5h", 5400),
        (" 1H ", 3600),
        ("1h2m3s", 3723),
    ]:
        assert duration(text) == seconds


def test_a_duration_is_written_as_it_is_read() -> None:
    for text in ("0.01s", "1m", "1m30s", "1h30m", "1h2m3.5s", "100h"):
        assert write_duration(duration(text)) == text


def test_no_duration() -> None:
    for text in ["", "90", "h", "1x", "1 h", "-5m", "m5", "1h 30", "0s", "0h0m", "9" * 400 + "d", "nan"]:
        with refuses("invalid", "90", "20"):
            duration(text)


def test_count() -> None:
    for text, number in [
        ("50000", 50_000),
        ("500k", 500_000),
        ("2M", 2_000_000),
        ("1.5M", 1_500_000),
        ("1_000", 1000),
        ("10,000", 10_000),
        ("1B", 10**9),
        ("0.0011k", 1),
        (" 7 ", 7),
    ]:
        assert count(text) == number


def test_no_count() -> None:
    for text in ["", "0", "k", "-5", "1e6", "0.2", "5 k", "five", "9" * 400, "9999999B"]:
        with refuses("invalid", "50000", "500"):
            count(text)


def test_size_is_height_by_width() -> None:
    for text, found in [("64", (64, 64)), ("48x64", (48, 64)), ("48X64", (48, 64)), ("48×64", (48, 64))]:
        assert size(text) == found


def test_no_size() -> None:
    for text in ["", "0", "64x", "x64", "64x0", "-3", "64.5", "1x2x3", "big"]:
        with refuses("invalid", "64"):
            size(text)


def test_say_seconds() -> None:
    for seconds, said in [
        (0.4, "0 s"),
        (12, "12 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ]:
        assert say_seconds(seconds) == said


def test_say_bytes() -> None:
    for n, said in [(35e6, "35 MB"), (1.44e9, "1.4 GB"), (140e9, "140.0 GB")]:
        assert say_bytes(n) == said


def test_say_count() -> None:
    assert [say_count(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [say_count(n, "index", "indices") for n in (1, 3)] == ["1 index", "3 indices"]
