"""The networks of small runs, as flags of a command line."""


def sets(*settings: str) -> tuple[str, ...]:
    """``--set`` before each."""
    return tuple(word for setting in settings for word in ("--set", setting))


TINY = sets("network.width=8", "network.multipliers=[1,2]", "network.attention=[2]", "network.blocks=1")
"""The smallest that has all kinds of layers."""

BARE = sets("network.width=8", "network.multipliers=[1]", "network.attention=[]", "network.blocks=1")
"""The smallest: one level without attention."""
