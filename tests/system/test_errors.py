import pickle

from ddpm.system.errors import InputError


def test_an_error_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(InputError("missing", "x is not there; make it")))
    assert (type(error), error.code, str(error)) == (InputError, "missing", "x is not there; make it")
