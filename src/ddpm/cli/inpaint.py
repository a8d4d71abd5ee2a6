"""``ddpm inpaint``."""

from pathlib import Path

from ddpm.cli.editing import ONE, Editing
from ddpm.cli.sampling import UNCHANGED, Sampling


def inpaint(
    run: Path,
    photo: Path,
    *,
    mask: Path,
    method: str | None = None,
    repaint: str | None = None,
    editing: Editing = ONE,
    flags: Sampling = UNCHANGED,
) -> None:
    """Fill in the masked part of a picture. The rest is kept bit for bit.

    Args:
        run: A run folder, or one checkpoint in it.
        photo: The picture, of the run's size or larger.
        mask: A picture of the same size: white is filled in, black is kept.
        method: mmps (default), whose fill blends with its surroundings, or ddnm, which blends less well in a third of
            the time.
        repaint: RePaint: resample back and forth, as JUMPxTIMES (in steps), such as 10x10; slow, but closer to the
            model's distribution.
    """
    from ddpm.cli.editing import make
    from ddpm.images.photo import opened, read
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.console import console
    from ddpm.tasks.mask import preview, read_mask

    data = RunFolder.open(run).config().data
    given, masking = opened(photo), opened(mask)
    known = read(given, data.size, data.mode, editing.fit)
    fill = read_mask(masking, known, editing.fit)
    console.print(f"filling       {100 * fill.mean():.0f} % of {photo}: the white part of {mask}", markup=False)
    make(
        run,
        "inpaint",
        given,
        {"mask": masking, "method": method, "repaint": repaint},
        editing,
        flags,
        [("given.png", known.image), ("preview.png", preview(known, fill))],
    )
