from ddpm.data.source import Item, Source


def nothing(name: str) -> bytes:
    raise AssertionError(name)


SOURCE = Source((Item("a.png"), Item("grid.png"), Item("b.png")), nothing, "0123456789abcdef")


def test_without_one_name_it_is_another_source() -> None:
    rest = SOURCE.without("grid.png")
    assert [item.name for item in rest.items] == ["a.png", "b.png"]
    assert rest.key != SOURCE.key
    assert len(rest.key) == len(SOURCE.key)
    assert rest.without("grid.png") is rest


def test_a_source_of_that_alone_stays() -> None:
    alone = Source((Item("grid.png"),), nothing, "0123456789abcdef")
    assert alone.without("grid.png") is alone
