"""Several data sets as one: pictures keep the name of their set, and nothing is read twice."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from made import draw_pictures
from PIL import Image

from edge_melanoma.data.labels import Group, Reading
from edge_melanoma.data.sets import (
    name_external_sets,
    name_folders,
    read_data_sets,
    refuse_training_sets,
)
from edge_melanoma.data.splits import SplitKind, split_lesions
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.judged_pictures import learned_from_split


def draw(folder: Path) -> Path:
    for name in ("benign", "malignant"):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(folder / name / "1.png")
    return folder


def test_pictures_of_several_sets_are_told_apart_by_name(tmp_path: Path) -> None:
    named = name_folders([draw(tmp_path / "a"), draw(tmp_path / "b")])
    records = read_data_sets(named)
    assert [(record.image_id, record.dataset) for record in records] == [
        ("a:benign/1.png", "a"),
        ("a:malignant/1.png", "a"),
        ("b:benign/1.png", "b"),
        ("b:malignant/1.png", "b"),
    ]


def test_lesions_with_equal_ids_in_two_sets_are_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        table = draw(tmp_path / name) / "labels.csv"
        table.write_text(
            "file,label,lesion_id\nbenign/1.png,benign,7\nmalignant/1.png,malignant,\n",
            encoding="utf-8",
        )
    records = read_data_sets(name_folders([tmp_path / "a", tmp_path / "b"]))
    assert [record.lesion_id for record in records] == ["7", None, "7", None]


def test_the_pictures_of_one_set_have_plain_names(tmp_path: Path) -> None:
    records = read_data_sets(name_folders([draw(tmp_path / "a")]))
    assert [(record.image_id, record.dataset) for record in records] == [
        ("benign/1.png", "a"),
        ("malignant/1.png", "a"),
    ]


def test_two_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match="have the same name; rename the folder of one"):
        name_folders([tmp_path / "x" / "set", tmp_path / "y" / "set"])


def test_a_set_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match="given more than once; give it once"):
        name_folders([tmp_path / "set", tmp_path / "set"])


def refuse_external(words: list[str], sentence: str) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        name_external_sets(words)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("word", ["clinic", "=clinic", "clinic="])
def test_an_external_set_needs_a_name_and_a_folder(word: str) -> None:
    refuse_external(
        [word],
        f"--external {word} is not NAME=DIR; expected a name and the folder of a data set, such as "
        "--external clinic=DIR.",
    )


@pytest.mark.parametrize("name", ["a/b", "../a", "a b", ".hidden"])
def test_the_name_of_an_external_set_can_be_that_of_a_file(name: str, tmp_path: Path) -> None:
    refuse_external(
        [f"{name}={tmp_path}"],
        f"--external {name}={tmp_path} has the name '{name}'; expected letters, digits, dots, "
        "dashes and underscores, with a letter or digit first.",
    )


def test_two_external_sets_have_two_names(tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "clinic", 1, 2)
    refuse_external(
        [f"a={folder}", f"a={folder}"],
        "--external names 'a' twice; give each data set a name of its own.",
    )


def test_external_sets_are_looked_into_before_any_work(tmp_path: Path) -> None:
    assert name_external_sets([f"a={draw_pictures(tmp_path / 'clinic', 1, 3)}"])
    empty = tmp_path / "empty"
    (empty / "benign").mkdir(parents=True)
    with pytest.raises(EdgeMelanomaError) as caught:
        name_external_sets([f"a={empty}"])
    assert str(caught.value).startswith(f"There are no images in {empty}; ")


def test_external_sets_are_named_by_the_person(tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "a=b", 1, 2)
    assert name_external_sets([f"clinic={folder}"]) == {"clinic": folder}


def test_a_set_that_is_trained_on_is_not_external(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    with pytest.raises(EdgeMelanomaError) as caught:
        refuse_training_sets({"own": other}, {"own": own})
    assert str(caught.value) == (
        "--external names 'own', which is a data set that is trained on; choose another name."
    )
    with pytest.raises(EdgeMelanomaError) as caught:
        refuse_training_sets({"new": own}, {"own": own})
    assert str(caught.value) == (
        f"--external new={own} is trained on with --data; give a data set from elsewhere."
    )
    refuse_training_sets({"new": other}, {"own": own})


def test_a_lone_set_has_the_name_that_it_is_given_too(tmp_path: Path) -> None:
    records = read_data_sets({"given": draw(tmp_path / "folder")})
    assert [(record.image_id, record.dataset) for record in records] == [
        ("benign/1.png", "given"),
        ("malignant/1.png", "given"),
    ]


def test_patients_are_told_apart_from_lesions_where_a_person_says_so(tmp_path: Path) -> None:
    table = draw(tmp_path / "a") / "labels.csv"
    table.write_text(
        "file,label,lesion_id,patient_id\nbenign/1.png,benign,7,P\nmalignant/1.png,malignant,8,P\n",
        encoding="utf-8",
    )
    named = name_folders([tmp_path / "a"])
    for group, expected in ((None, "P"), (Group.PATIENT, "P"), (Group.LESION, None)):
        records = read_data_sets(named, Reading(group=group))
        assert [record.patient_id for record in records] == [expected, expected]
        assert [record.lesion_id for record in records] == ["7", "8"]


def test_patients_that_no_table_names_are_not_grouped_by(tmp_path: Path) -> None:
    named = name_folders([draw(tmp_path / "a")])
    with pytest.raises(EdgeMelanomaError, match="--group patient needs a table with the column"):
        read_data_sets(named, Reading(group=Group.PATIENT))


def test_a_table_is_of_the_set_that_it_is_given_for(tmp_path: Path) -> None:
    named = name_folders([draw(tmp_path / "a"), draw(tmp_path / "b")])
    table = tmp_path / "turned.csv"
    table.write_text("file,label\nbenign/1.png,1\nmalignant/1.png,0\n", encoding="utf-8")
    labels = {
        owner: [r.is_malignant for r in read_data_sets(named, Reading(tables=((owner, table),)))]
        for owner in (None, "a", "b", "c")
    }
    assert labels == {
        None: [True, False, True, False],
        "a": [True, False, False, True],
        "b": [False, True, True, False],
        "c": [False, True, False, True],
    }
    outside = Reading(tables=((None, table), ("x", table)))
    assert outside.of("y").tables == ()
    assert outside.of("x").tables == ((None, table),)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["train", "valid", "test", "."]),
        st.booleans(),
        st.sampled_from(["lesion_id", "patient_id", "isic_id", ""]),
        st.integers(0, 15),
    ),
    min_size=40,
    max_size=80,
)


def write_set(folder: Path, rows: list[tuple[str, bool, str, int]]) -> dict[str, tuple[str, int]]:
    """A table of pictures of no bytes, and what is shared by image id."""
    folder.mkdir(exist_ok=True)
    fields = ("lesion_id", "patient_id", "isic_id")
    lines, shared = [";".join(["file", "label", *fields])], {}
    for n, (side, is_malignant, field, key) in enumerate(rows):
        cells = [f"{key}" if field == name else "" for name in fields]
        name = f"{side}/{n}.png".removeprefix("./")
        lines.append(";".join([name, f"{is_malignant:d}", *cells]))
        shared[f"{folder.name}:{name}"] = (field, key)
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return shared


# Shrinking such tables takes minutes.
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(ROWS, ROWS, ROWS, st.sampled_from(SplitKind), st.integers(0, 3))
def test_what_tables_say_to_be_one_lesion_or_patient_is_on_one_side_or_left_out(
    tmp_path: Path,
    one: list[tuple[str, bool, str, int]],
    other: list[tuple[str, bool, str, int]],
    outside: list[tuple[str, bool, str, int]],
    kind: SplitKind,
    seed: int,
) -> None:
    shared = write_set(tmp_path / "one", one) | write_set(tmp_path / "other", other)
    beside = write_set(tmp_path / "outside", outside)
    try:
        records = read_data_sets(name_folders([tmp_path / "one", tmp_path / "other"]))
        split = split_lesions(records, kind=kind, seed=seed)
        external = read_data_sets({"outside": tmp_path / "outside"})
    except EdgeMelanomaError as error:
        if "the same lesion or the same picture" in str(error):
            raise
        assume(False)
        return
    sides: dict[tuple[str, int], set[str]] = {}
    for side, members in split.sides().items():
        for record in members:
            field, key = shared[record.image_id]
            if field:
                sides.setdefault((field, key), set()).add(side)
    assert all(len(found) == 1 for found in sides.values())
    learned = learned_from_split(split)
    for record in external:
        found = sides.get(beside[f"outside:{record.image_id}"], set())
        if found & {"train", "validation"}:
            assert learned.knows(record), record
