"""Groups of names that were joined."""

from edge_melanoma.data.splits import Components


def test_names_joined_by_way_of_others_are_one_group() -> None:
    groups = Components()
    groups.join("a", "b")
    groups.join("c", "d")
    assert groups.of("a") == groups.of("b") != groups.of("c")
    groups.join("b", "d")
    assert len({groups.of(name) for name in "abcd"}) == 1


def test_a_name_that_was_never_joined_is_alone() -> None:
    groups = Components()
    groups.join("a", "b")
    assert groups.of("z") == "z"
    assert groups.names() == ["a", "b", "z"]
