"""The one exception that means: what you gave cannot be used."""


class InputError(ValueError):
    """A user's input that cannot be used, said in one line: the value, what is allowed, how to mend it.

    The command line prints it without a traceback and exits with code 2.
    """
