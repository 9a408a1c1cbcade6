"""Data sets are read in each shape of folder that is promised, and malignant is always true."""

from pathlib import Path

import pytest

from edge_melanoma.data.lesions import LesionRecord, count_classes, read_lesions
from edge_melanoma.errors import EdgeMelanomaError

LAYOUT = (
    "expected the folders benign and malignant, the same inside train and test, "
    "or a labels.csv with the columns file,label[,lesion_id]"
)


def make_files(folder: Path, *names: str) -> None:
    """Files of no bytes: reading a data set does not open its pictures."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def write_table(folder: Path, *lines: str) -> Path:
    table = folder / "labels.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def labels_of(folder: Path) -> dict[str, bool]:
    return {record.image_id: record.is_malignant for record in read_lesions(folder)}


def refusal_of(folder: Path) -> str:
    with pytest.raises(EdgeMelanomaError) as caught:
        read_lesions(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("benign", "malignant"),
    [
        ("benign", "malignant"),
        ("Benign", "Malignant"),
        ("benign", "Malignant"),
        ("BENIGN", "malignant"),
    ],
)
def test_malignant_is_true_whatever_the_case_and_the_order_of_the_folders(
    tmp_path: Path, benign: str, malignant: str
) -> None:
    make_files(tmp_path, f"{benign}/a.jpg", f"{malignant}/b.jpg")
    assert labels_of(tmp_path) == {f"{benign}/a.jpg": False, f"{malignant}/b.jpg": True}


def test_two_class_folders_give_no_side(tmp_path: Path) -> None:
    make_files(tmp_path, "benign/a.jpg", "malignant/b.png")
    assert read_lesions(tmp_path) == (
        LesionRecord(
            image_id="benign/a.jpg", path=tmp_path / "benign" / "a.jpg", is_malignant=False
        ),
        LesionRecord(
            image_id="malignant/b.png", path=tmp_path / "malignant" / "b.png", is_malignant=True
        ),
    )


@pytest.mark.parametrize(
    ("folder", "side"),
    [
        ("train", "train"),
        ("Train", "train"),
        ("TEST", "test"),
        ("val", "validation"),
        ("Valid", "validation"),
        ("validation", "validation"),
    ],
)
def test_the_folder_around_the_classes_gives_the_side(
    tmp_path: Path, folder: str, side: str
) -> None:
    make_files(tmp_path, f"{folder}/Benign/a.jpg", f"{folder}/Malignant/a.jpg")
    found = [(record.is_malignant, record.side) for record in read_lesions(tmp_path)]
    assert found == [(False, side), (True, side)]


def test_train_and_test_are_read_together_and_sorted(tmp_path: Path) -> None:
    names = [
        f"{side}/{name}/1.jpg" for side in ("test", "train") for name in ("Benign", "Malignant")
    ]
    make_files(tmp_path, *reversed(names))
    assert labels_of(tmp_path) == dict(zip(names, [False, True] * 2, strict=True))
    assert [record.image_id for record in read_lesions(tmp_path)] == names


def test_pictures_in_deeper_folders_belong_to_their_class(tmp_path: Path) -> None:
    make_files(tmp_path, "benign/2019/clinic/a.jpg", "malignant/b.jpg")
    assert labels_of(tmp_path) == {"benign/2019/clinic/a.jpg": False, "malignant/b.jpg": True}


def test_only_visible_files_with_an_image_suffix_are_pictures(tmp_path: Path) -> None:
    pictures = {"benign/a.JPG", "benign/b.jpeg", "benign/c.png", "benign/d.bmp", "malignant/e.tif"}
    pictures |= {"malignant/f.tiff", "malignant/g.webp"}
    make_files(tmp_path, *pictures, "benign/notes.txt", "benign/._a.jpg", "malignant/mask")
    make_files(tmp_path, "__MACOSX/x.jpg", ".cache/y.jpg")
    assert labels_of(tmp_path).keys() == pictures


def test_labels_in_a_table_are_read_without_regard_to_case_and_blanks(tmp_path: Path) -> None:
    labels = {"benign": False, "MALIGNANT": True, " Malignant ": True, "0": False, "1": True}
    labels |= {"other_malignant": True}
    write_table(tmp_path, "file,label", *(f"{n}.jpg,{label}" for n, label in enumerate(labels)))
    assert list(labels_of(tmp_path).values()) == list(labels.values())


def test_a_table_gives_lesions_and_sides_and_is_sorted(tmp_path: Path) -> None:
    lines = ["lesion_id,label,file", ",0,./train/a.jpg", "L1,1,test/b.jpg"]
    write_table(tmp_path, *lines)
    assert read_lesions(tmp_path) == (
        LesionRecord(
            image_id="test/b.jpg",
            path=tmp_path / "test" / "b.jpg",
            is_malignant=True,
            lesion_id="L1",
            side="test",
        ),
        LesionRecord(
            image_id="train/a.jpg",
            path=tmp_path / "train" / "a.jpg",
            is_malignant=False,
            side="train",
        ),
    )


def test_a_table_goes_before_folders(tmp_path: Path) -> None:
    make_files(tmp_path, "benign/a.jpg", "malignant/b.jpg")
    write_table(tmp_path, "file,label", "benign/a.jpg,malignant", "malignant/b.jpg,benign")
    assert labels_of(tmp_path) == {"benign/a.jpg": True, "malignant/b.jpg": False}


def test_a_table_that_excel_saved_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    text = "file,label\r\na.jpg,0\r\nb.jpg,1\r\n"
    (tmp_path / "labels.csv").write_bytes(text.encode("utf-8-sig"))
    assert labels_of(tmp_path) == {"a.jpg": False, "b.jpg": True}


def test_classes_are_counted_benign_first(tmp_path: Path) -> None:
    make_files(tmp_path, "benign/a.jpg", "malignant/b.jpg", "malignant/c.jpg")
    assert count_classes(read_lesions(tmp_path)) == (1, 2)


def test_a_table_without_benign_pictures_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path, "file,label", "a.jpg,1")
    assert refusal_of(tmp_path) == (
        f"There are no benign images in {tmp_path}; both classes are needed: {LAYOUT}."
    )


@pytest.mark.parametrize(
    ("header", "lacking"),
    [("file,truth", "label"), ("image,label", "file"), ("", "file and label")],
)
def test_a_table_without_its_columns_is_refused(tmp_path: Path, header: str, lacking: str) -> None:
    table = write_table(tmp_path, header)
    assert refusal_of(tmp_path) == (
        f"{table} lacks the column {lacking}; expected the header file,label[,lesion_id]."
    )


def test_an_unknown_label_is_named_with_its_line(tmp_path: Path) -> None:
    table = write_table(tmp_path, "file,label", "a.jpg,benign", "b.jpg,Nevus")
    assert refusal_of(tmp_path) == (
        f"{table} line 3 has the label 'Nevus'; expected benign or malignant (or 0 or 1)."
    )


@pytest.mark.parametrize("name", ["/a.jpg", "../a.jpg", "train/../../a.jpg", "", "."])
def test_a_file_outside_the_folder_of_the_table_is_refused(tmp_path: Path, name: str) -> None:
    table = write_table(tmp_path, "file,label", f"{name},1")
    assert refusal_of(tmp_path) == (
        f"{table} line 2 names the file '{name}'; expected a path inside the folder of the table."
    )


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_bytes("file,label\nä.jpg,1\n".encode("latin-1"))
    assert refusal_of(tmp_path) == (
        f"{table} is not a UTF-8 CSV file: 'utf-8' codec can't decode byte 0xe4 in position 11: "
        "invalid continuation byte."
    )


def test_a_table_that_names_a_file_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label\na.png,benign\n./a.png,malignant\n")
    with pytest.raises(EdgeMelanomaError) as caught:
        read_lesions(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'labels.csv'} names the file 'a.png' more than once; expected one row a file."
    )


def test_the_header_of_a_table_is_matched_whatever_its_case_and_blanks(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("File, Label\na.png,benign\nb.png,malignant\n")
    assert [record.is_malignant for record in read_lesions(tmp_path)] == [False, True]


def test_images_beside_train_and_test_are_not_passed_over(tmp_path: Path) -> None:
    for name in ("train/benign", "train/malignant", "tests/benign"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.png").touch()
    with pytest.raises(EdgeMelanomaError) as caught:
        read_lesions(tmp_path)
    assert str(caught.value) == (
        f"The folder {tmp_path / 'tests'} holds images beside train and test; expected the "
        "folders benign and malignant, the same inside train and test, or a labels.csv with the "
        "columns file,label[,lesion_id]."
    )


def attributes_of(folder: Path) -> list[dict[str, str]]:
    return [dict(record.attributes) for record in read_lesions(folder)]


def test_further_columns_of_a_table_are_attributes_under_common_names(tmp_path: Path) -> None:
    write_table(
        tmp_path,
        "file,label,dx,dx_type,Age,sex,localization",
        "a.jpg,benign,NV,histo,45.0,Male,lower extremity",
        "b.jpg,malignant,mel,histo,,unknown,Unknown",
    )
    assert attributes_of(tmp_path) == [
        {"age": "45.0", "sex": "male", "site": "lower extremity", "diagnosis": "nv"},
        {"diagnosis": "mel"},
    ]


def test_of_two_columns_for_one_attribute_the_first_that_says_something_counts(
    tmp_path: Path,
) -> None:
    write_table(
        tmp_path,
        "file,label,age_approx,age",
        "a.jpg,benign,50,52",
        "b.jpg,malignant,60,",
    )
    assert attributes_of(tmp_path) == [{"age": "52"}, {"age": "60"}]


def test_without_a_table_there_are_no_attributes(tmp_path: Path) -> None:
    make_files(tmp_path, "benign/a.jpg", "malignant/b.jpg")
    assert attributes_of(tmp_path) == [{}, {}]
