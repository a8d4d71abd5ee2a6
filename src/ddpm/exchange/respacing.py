"""The timesteps that OpenAI's programs keep for sampling."""

from ddpm.system.errors import InputError


def kept_timesteps(T: int, spacing: str) -> list[int]:
    """The timesteps of ``timestep_respacing``, from 0 to T - 1, in rising order.

    Args:
        spacing: empty for all; "ddimN" for N in whole strides (Song et al. 2021); else the numbers of timesteps in as
            many equal sections, "10,15,20", spread evenly over each with both of its ends.

    Raises:
        InputError: it is none of these, or there are too few timesteps.
    """
    if not spacing:
        return list(range(T))
    words = spacing.removeprefix("ddim").split(",")
    strided = spacing.startswith("ddim")
    if not all(word.strip().isdecimal() and int(word) for word in words) or (strided and len(words) > 1):
        raise InputError(
            "invalid",
            f"--timestep_respacing is {spacing!r}; write it as 250, ddim25, or the counts of sections, 10,15,20",
        )
    counts, kept, start = [int(word) for word in words], [], 0
    if strided:
        for stride in range(1, T + 1):
            if len(range(0, T, stride)) == counts[0]:
                return list(range(0, T, stride))
        raise InputError(
            "invalid", f"--timestep_respacing is {spacing}, but no stride over {T} timesteps gives that many"
        )
    size, longer = divmod(T, len(counts))
    for i, count in enumerate(counts):
        length = size + (i < longer)
        if count > length:
            raise InputError("invalid", f"--timestep_respacing is {spacing}, but a section has only {length} timesteps")
        gap, at = (length - 1) / (count - 1) if count > 1 else 1.0, 0.0
        for _ in range(count):  # added up as there, which decides how halves are rounded
            kept.append(start + round(at))
            at += gap
        start += length
    return kept
