from ddpm.exchange.flags import parse_flags
from refusal import refuses

KNOWN = {"image_size": int, "class_cond": bool, "noise_schedule": str, "dropout": float}


def test_flags_of_each_type():
    expected = {"image_size": 64, "class_cond": True, "noise_schedule": "cosine", "dropout": 0.1}
    text = "--image_size 64 --class-cond True --noise_schedule=cosine --dropout 0.1"
    assert parse_flags(text, KNOWN) == expected
    assert parse_flags("--class_cond --image_size=64", KNOWN) == {"image_size": 64, "class_cond": True}
    assert parse_flags("--class_cond false --dropout -1e-3", KNOWN) == {"class_cond": False, "dropout": -1e-3}
    assert parse_flags(None, KNOWN) == parse_flags("", KNOWN) == {}


def test_what_is_no_flag_is_named():
    for text, code, named in [
        ("--image_sise 64", "unknown", "image_size"),
        ("--image_size", "invalid", "--image_size"),
        ("--noise_schedule --image_size 64", "invalid", "without a value"),
        ("--image_size 64.5", "invalid", "64.5"),
        ("--class_cond maybe", "invalid", "maybe"),
        ("64", "invalid", "64"),
        ("--image_size 64 --image_size 32", "invalid", "twice"),
        ("--noise_schedule 'cosine", "invalid", "quotation"),
    ]:
        with refuses(code, named):
            parse_flags(text, KNOWN)
