"""Tables are read whatever separates them, and a class is found by each of its names."""

from pathlib import Path

import pytest

from edge_melanoma.data.labels import (
    AS_FOUND,
    KIN,
    LAYOUTS,
    Group,
    Reading,
    diagnosis_of,
    names_of,
    read_table,
)
from edge_melanoma.errors import EdgeMelanomaError


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "||"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_separates_cells_is_found(
    tmp_path: Path, delimiter: str, encoding: str, end: str
) -> None:
    lines = [["Image_ID", " DX "], ["x", "mel"], ["", ""], ["y, z", "nv"]]
    cells = [[f'"{cell}"' if "," in cell else cell for cell in line] for line in lines]
    text = end.join(delimiter.join(line) for line in cells)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    layout, rows = read_table(tmp_path / "t.csv")
    assert layout.name == "HAM10000"
    assert [(row.name, row.classes) for row in rows] == [("x", ("mel",)), ("y, z", ("nv",))]


def test_each_layout_is_known_by_its_own_columns(tmp_path: Path) -> None:
    for layout in LAYOUTS:
        (tmp_path / "t.csv").write_text(",".join(["other", *layout.columns]).upper())
        assert read_table(tmp_path / "t.csv")[0] == layout


def test_a_header_below_a_legend_is_found_and_lines_are_counted_from_the_top(
    tmp_path: Path,
) -> None:
    table = tmp_path / "t.csv"
    table.write_text('legend;;\n"two\nlines";;\nFile;Label;x\na.jpg;1;\n')
    _, (row,) = read_table(table)
    assert row.place == f"{table} line 5"
    assert row.cells == {"file": "a.jpg", "label": "1", "x": ""}


def test_a_table_of_lesions_states_no_class(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,lesion_id,age_approx\nISIC_1,L1,50\n")
    layout, (row,) = read_table(tmp_path / "t.csv")
    assert layout.name == KIN
    assert (row.name, row.cells["lesion_id"]) == ("ISIC_1", "L1")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "has the header nothing"), ("a,b\n1,2\n", "has the header a,b; expected file,label[")],
)
def test_a_table_of_no_known_layout_is_refused_by_its_header(
    tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(EdgeMelanomaError) as caught:
        read_table(tmp_path / "t.csv")
    assert f"{tmp_path / 't.csv'} {reason}" in str(caught.value)
    for layout in LAYOUTS[1:]:
        assert f"{','.join(layout.columns)} ({layout.name})" in str(caught.value)


def test_a_table_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match=r"is no file, but a folder, a pipe or a device\.$"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Melanoma", "mel"),
        ("melanoma (in situ)", "mel"),
        ("melanoma metastasis", "mel"),
        ("Melanoma, NOS", "mel"),
        ("Malignant melanocytic proliferations (Melanoma)", "mel"),
        ("MEL", "mel"),
        ("Basal cell carcinoma, Nodular", "bcc"),
        ("AK", "akiec"),
        ("Atypical Nevus", "nv"),
        ("common_nevus", "nv"),
        ("1.0", "1"),
        ("Spitz", "spitz"),
    ],
)
def test_a_class_is_named_by_its_short_word(text: str, name: str) -> None:
    assert diagnosis_of(name) in names_of([text])


@pytest.mark.parametrize("text", ["nevus", "Nevus, Atypical", "lentigo maligna", "pseudomelanoma"])
def test_no_other_class_is_called_melanoma(text: str) -> None:
    assert "mel" not in names_of([text])


def test_a_run_records_how_its_sets_were_read(tmp_path: Path) -> None:
    reading = Reading(
        tables=((None, tmp_path / "a.csv"), ("x", tmp_path / "b.csv")),
        malignant=("mel",),
        group=Group.PATIENT,
    )
    assert Reading.from_dict(reading.as_dict()) == reading
    assert Reading.from_dict(AS_FOUND.as_dict()) == AS_FOUND == Reading.from_dict(None)
