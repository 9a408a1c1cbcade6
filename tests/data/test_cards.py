"""A data set's card is read from beside the pictures, and says so where it cannot be used."""

from pathlib import Path

import pytest

from edge_melanoma.data.cards import (
    SHIPPED_CARDS,
    describe_cards,
    find_card,
    read_card,
)
from edge_melanoma.errors import EdgeMelanomaError

CONTENT = """\
name = "Clinic"
source = "one clinic, 2020 to 2024"
licence = "CC BY 4.0"
geometry = "centre crop"
label_definition = "malignant means melanoma"
"""
CARD = {
    "name": "Clinic",
    "source": "one clinic, 2020 to 2024",
    "licence": "CC BY 4.0",
    "geometry": "centre crop",
    "label_definition": "malignant means melanoma",
    "url": None,
    "doi": None,
    "note": None,
    "file": "dataset.toml",
}


def write(path: Path, content: str = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def refuse(path: Path, content: str, sentence: str) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        read_card(write(path, content))
    assert str(caught.value) == sentence


def test_a_card_is_what_its_file_says(tmp_path: Path) -> None:
    assert read_card(write(tmp_path / "dataset.toml")) == CARD


def test_the_optional_entries_are_kept(tmp_path: Path) -> None:
    extra = 'url = "https://example.org"\ndoi = "10.1/x"\nnote = "one picture a lesion"\n'
    card = read_card(write(tmp_path / "dataset.toml", CONTENT + extra))
    assert (card["url"], card["doi"], card["note"]) == (
        "https://example.org",
        "10.1/x",
        "one picture a lesion",
    )


def test_broken_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dataset.toml"
    refuse(
        path,
        "name = Clinic\n",
        f"The data set card {path} is not a readable TOML file: "
        "Invalid value (at line 1, column 8).",
    )


def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    path = tmp_path / "dataset.toml"
    refuse(
        path,
        CONTENT.replace("licence", "license"),
        f"The data set card {path} has the unknown key 'license'; did you mean 'licence'?",
    )


@pytest.mark.parametrize(("value", "shown"), [("7", "7"), ('" "', "' '"), ("['a']", "['a']")])
def test_a_value_that_is_no_text_is_named(tmp_path: Path, value: str, shown: str) -> None:
    path = tmp_path / "dataset.toml"
    refuse(
        path,
        CONTENT.replace('"Clinic"', value),
        f"The data set card {path} gives name the value {shown}; expected a text in quotes.",
    )


def test_missing_entries_are_named_together(tmp_path: Path) -> None:
    path = tmp_path / "dataset.toml"
    refuse(
        path,
        'name = "Clinic"\nsource = "one clinic"\ngeometry = "centre crop"\n',
        f"The data set card {path} lacks licence, label_definition; expected name, source, "
        "licence, geometry, label_definition, and if you like url, doi, note.",
    )


def test_the_file_name_is_no_entry_of_a_card(tmp_path: Path) -> None:
    path = tmp_path / "dataset.toml"
    refuse(
        path,
        CONTENT + 'file = "other.toml"\n',
        f"The data set card {path} has the unknown key 'file'; did you mean 'licence'?",
    )


def test_the_card_in_the_folder_comes_before_the_one_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    folder.mkdir()
    assert find_card(folder) is None
    write(tmp_path / "clinic.dataset.toml", CONTENT.replace("Clinic", "beside"))
    beside = find_card(folder)
    assert beside is not None
    assert (beside["name"], beside["file"]) == ("beside", "clinic.dataset.toml")
    write(folder / "dataset.toml")
    assert find_card(folder) == CARD


def test_a_card_beside_a_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "read-only" / "clinic").mkdir(parents=True)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "ours").symlink_to(tmp_path / "read-only" / "clinic")
    write(mine / "ours.dataset.toml")
    card = find_card(mine / "ours")
    assert card is not None
    assert card["name"] == "Clinic"


def test_a_public_set_without_a_card_has_that_of_the_package(tmp_path: Path) -> None:
    folder = tmp_path / "isic-uda1"
    folder.mkdir()
    card = find_card(folder)
    assert card is not None
    assert (card["name"], card["licence"], card["file"]) == ("UDA-1", "CC0 1.0", "isic-uda1.toml")


def test_every_card_of_the_package_can_be_read() -> None:
    paths = sorted(SHIPPED_CARDS.glob("*.toml"))
    assert [path.stem for path in paths] == ["ham10000-224", "isic-uda1", "melanoma-10605"]
    for path in paths:
        assert str(read_card(path)["label_definition"]).startswith("malignant means ")


def test_a_card_is_shown_as_source_licence_and_meaning() -> None:
    dataset = {"name": "clinic, test side", "card": {**CARD, "doi": "10.1/x"}}
    assert describe_cards(dataset) == [
        "clinic, test side: one clinic, 2020 to 2024 (doi:10.1/x); licence: CC BY 4.0; "
        "centre crop; malignant means melanoma"
    ]


def test_a_set_without_a_card_is_shown_as_one() -> None:
    assert describe_cards({"name": "clinic", "card": None}) == [
        "clinic: no data set card (dataset.toml): source, licence and label definition unknown"
    ]


def test_each_of_several_sets_has_a_line() -> None:
    cards = {"clinic": CARD, "other": None}
    dataset = {"name": "clinic + other", "card": None, "cards": cards}
    lines = describe_cards(dataset)
    assert [line.partition(":")[0] for line in lines] == ["clinic", "other"]
