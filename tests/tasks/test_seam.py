"""Filled-in parts continue the known pixels."""

import numpy as np

from ddpm.tasks.seam import blended, extended

FILL = np.zeros((16, 24), bool)
FILL[:, 12:] = True
SLOPE = np.broadcast_to(np.linspace(100, 200, 24).round()[None, :, None], (16, 24, 3)).astype(np.uint8)


def test_known_pixels_are_continued_without_what_is_hidden() -> None:
    hidden = np.where(FILL[..., None], np.uint8(0), SLOPE)
    found = extended(SLOPE, FILL)
    assert np.array_equal(found, extended(hidden, FILL))
    assert np.array_equal(found[~FILL], SLOPE[~FILL])
    assert np.abs(found[:, 12:].astype(int) - SLOPE[:, 11:12]).max() < 30
    assert np.array_equal(extended(SLOPE, ~FILL & False), SLOPE)


def test_a_seam_has_no_step_and_fades() -> None:
    """What was drawn is 20 darker than the known pixels."""
    drawn = SLOPE - 20
    made = blended(drawn, SLOPE, FILL, 2).astype(int)
    more = made - drawn
    assert (more[~FILL] == 0).all()  # those are pasted
    assert (more[:, 12] >= 15).all()
    assert (np.diff(more[8, 12:]) <= 0).all()
    assert (more[:, 20:] == 0).all()


def test_invisible_colours_do_not_spread() -> None:
    """The known half is transparent, stored with white; what was drawn is red."""
    known, red = np.full((16, 24, 4), 255, np.uint8), np.array([200, 30, 30, 255], np.uint8)
    known[..., 3] = 0
    pixels = np.where(FILL[..., None], red, known)
    black = np.where(FILL[..., None], red, np.uint8(0))
    assert np.array_equal(blended(black, pixels, FILL, 4), black)
    striped = known.copy()
    striped[::2, :, 3] = 255  # rows of opaque white, and others of transparent black
    striped[1::2, :, :3] = 0
    assert (extended(striped, FILL)[FILL][:, :3] == 255).all()


def test_nothing_changes_where_the_known_pixels_were_drawn_as_they_are() -> None:
    drawn = np.where(FILL[..., None], np.uint8(7), SLOPE)
    assert np.array_equal(blended(drawn, SLOPE, FILL, 4), drawn)
