"""Items are named by numbers that the checklist has, and each of them has a place or a reason."""

import pytest

from edge_melanoma.card.card import ITEMS_2024, UNANSWERED, list_items, name_items


def test_the_update_of_2024_has_44_items() -> None:
    assert list(ITEMS_2024) == list(range(1, 45))
    assert set(UNANSWERED) < set(ITEMS_2024)


def test_both_editions_are_named() -> None:
    assert name_items((31, 39), (37,)) == "*CLAIM 2024 items 31, 39; CLAIM 2020 item 37*"
    assert name_items((43,), ()) == "*CLAIM 2024 item 43*"


@pytest.mark.parametrize(("new", "old"), [((45,), ()), ((1,), (43,)), ((0,), (1,))])
def test_a_number_that_the_checklist_has_not_got_is_refused(
    new: tuple[int, ...], old: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"^CLAIM has no such items: .* of 2024, .* of 2020\.$"):
        name_items(new, old)


def test_every_item_has_its_place_or_a_reason() -> None:
    items = {number: place for number, _, place in list_items({"Data": (7, 8), "Limits": (8,)})}
    assert len(items) == 44
    assert items[7] == "Data"
    assert items[8] == "Data; Limits"
    assert items[44] == "not answered: not known to the program that fills this card"
    assert items[9] == "not answered: the run does not hold it"
