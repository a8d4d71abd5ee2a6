import pytest
import torch

from ddpm.core import Cond, LowResolution

VECTOR, IMAGE = torch.arange(6.0).reshape(3, 2), torch.arange(3 * 2 * 4 * 5.0).reshape(3, 2, 4, 5)
BOTH = Cond(VECTOR, IMAGE)
LABELLED = Cond(VECTOR, IMAGE, torch.tensor([4, 0, 9]))
KINDS = {"vector": Cond(VECTOR), "image": Cond(image=IMAGE), "both": BOTH, "labels": LABELLED}


def same(a: Cond, b: Cond) -> bool:
    pairs = ((a.vector, b.vector), (a.image, b.image), (a.labels, b.labels))
    return all((x is None) == (y is None) and (x is None or torch.equal(x, y)) for x, y in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_halves_of_a_pair_are_the_two(kind):
    cond = KINDS[kind]
    twice = cond.cat(cond.rows(torch.tensor([2, 1, 0])))
    assert (len(cond), len(twice)) == (3, 6)
    assert same(twice.rows(slice(0, 3)), cond)
    assert same(twice.rows(torch.tensor([5, 4, 3])), cond)


def test_rows_may_be_named_often():
    chosen = BOTH.rows(torch.tensor([1, 1, 0, 2]))
    assert torch.equal(chosen.vector, VECTOR[[1, 1, 0, 2]])
    assert torch.equal(chosen.image, IMAGE[[1, 1, 0, 2]])


def test_a_window_is_of_the_image_alone():
    window = BOTH.crop((slice(1, 3), slice(2, 5)))
    assert torch.equal(window.image, IMAGE[:, :, 1:3, 2:5])
    assert window.vector is VECTOR
    assert KINDS["vector"].crop((slice(1, 3), slice(2, 5))) is KINDS["vector"]


def test_vectors_add_up_and_one_image_stays():
    assert same(KINDS["vector"].plus(BOTH), Cond(2 * VECTOR, IMAGE))
    assert same(BOTH.plus(KINDS["vector"]), Cond(2 * VECTOR, IMAGE))
    assert same(KINDS["image"].plus(KINDS["vector"]), BOTH)
    assert same(KINDS["vector"].plus(KINDS["vector"]), Cond(2 * VECTOR))


def test_a_row_instead_of_each_leaves_the_images():
    null = Cond(torch.tensor([[7.0, -7.0]]))
    assert same(null.instead_of(BOTH), Cond(null.vector.expand(3, -1), IMAGE))
    assert same(null.instead_of(KINDS["vector"]), Cond(null.vector.expand(3, -1)))


def test_a_part_of_the_images_to_enlarge():
    part = LowResolution(IMAGE, torch.tensor([0.0, 0.1, 0.2])).part(slice(1, 3))
    assert torch.equal(part.image, IMAGE[1:])
    assert part.s.tolist() == pytest.approx([0.1, 0.2])


def test_between_two_conditions():
    other = Cond(VECTOR.flip(0) ** 2, IMAGE.flip(0))
    quarter = BOTH.lerp(other, 0.25)
    torch.testing.assert_close(quarter.vector, 0.75 * VECTOR + 0.25 * other.vector)
    torch.testing.assert_close(quarter.image, 0.75 * IMAGE + 0.25 * other.image)
    assert same(BOTH.lerp(other, 0.0), BOTH)
    assert same(BOTH.lerp(other, 1.0), other)
    each = BOTH.lerp(other, torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)).vector
    torch.testing.assert_close(each, torch.stack([VECTOR[0], (VECTOR[1] + other.vector[1]) / 2, other.vector[2]]))
    assert KINDS["vector"].lerp(KINDS["vector"], 0.5).image is None


def test_labels_go_with_their_vectors():
    assert LABELLED.rows(torch.tensor([2, 2, 0])).labels.tolist() == [9, 9, 4]
    assert LABELLED.crop((slice(1, 3), slice(2, 5))).labels is LABELLED.labels
    assert Cond(image=IMAGE).plus(Cond(VECTOR, labels=LABELLED.labels)).labels is LABELLED.labels
    null = Cond(VECTOR[:1], labels=torch.tensor([7]))
    assert null.instead_of(LABELLED).labels.tolist() == [7, 7, 7]
    assert LABELLED.lerp(BOTH, 0.5).labels is None  # between two classes is none
