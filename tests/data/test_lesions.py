"""Data sets are read in each shape of folder that is promised, and malignant is always true."""

from dataclasses import replace
from pathlib import Path
from typing import Any

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
            image_id="benign/a.jpg",
            path=tmp_path / "benign" / "a.jpg",
            is_malignant=False,
            dataset=tmp_path.name,
        ),
        LesionRecord(
            image_id="malignant/b.png",
            path=tmp_path / "malignant" / "b.png",
            is_malignant=True,
            dataset=tmp_path.name,
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
            dataset=tmp_path.name,
        ),
        LesionRecord(
            image_id="train/a.jpg",
            path=tmp_path / "train" / "a.jpg",
            is_malignant=False,
            side="train",
            dataset=tmp_path.name,
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


def only_benign_of(folder: Path) -> LesionRecord:
    """The first record of a table, which the tests are about."""
    return read_lesions(folder)[0]


@pytest.mark.parametrize(
    ("header", "cells", "clinic"),
    [
        ("clinic", "HAM", "HAM"),
        ("source", "ISIC-UDA1", "ISIC-UDA1"),
        ("source,clinic", "photographs,BCN", "BCN"),
        ("source,clinic", "photographs,", "photographs"),
        ("clinic", " ", None),
        ("place", "HAM", None),
    ],
)
def test_a_picture_is_of_the_clinic_that_the_table_names(
    tmp_path: Path, header: str, cells: str, clinic: str | None
) -> None:
    write_table(tmp_path, f"file,label,{header}", f"a.jpg,benign,{cells}", "b.jpg,malignant")
    assert only_benign_of(tmp_path).clinic == clinic


def test_a_table_tells_patients_and_photographs_of_the_archive(tmp_path: Path) -> None:
    write_table(
        tmp_path,
        "file,label,patient_id,isic_id",
        "a.jpg,benign,IP_1,ISIC_0000001",
        "b.jpg,malignant,,",
    )
    found = [(record.patient_id, record.isic_id) for record in read_lesions(tmp_path)]
    assert found == [("IP_1", "ISIC_0000001"), (None, None)]


@pytest.mark.parametrize(
    ("name", "isic_id"),
    [
        ("ISIC_0000001.jpg", "ISIC_0000001"),
        ("ISIC_0000001_downsampled.jpg", "ISIC_0000001"),
        ("ISIC_00000012.jpg", None),
        ("ISIC_000001.jpg", None),
        ("copy of ISIC_0000001.jpg", None),
    ],
)
def test_a_file_that_is_named_as_in_the_archive_is_that_photograph(
    tmp_path: Path, name: str, isic_id: str | None
) -> None:
    make_files(tmp_path, f"folders/benign/{name}", "folders/malignant/b.jpg")
    assert only_benign_of(tmp_path / "folders").isic_id == isic_id
    write_table(tmp_path, "file,label", f"{name},benign", "z.jpg,malignant")
    assert {record.isic_id for record in read_lesions(tmp_path)} == {isic_id, None}


def test_what_a_table_says_goes_before_the_name_of_the_file(tmp_path: Path) -> None:
    write_table(
        tmp_path,
        "file,label,isic_id",
        "ISIC_0000001.jpg,benign,ISIC_0000002",
        "b.jpg,malignant,",
    )
    assert only_benign_of(tmp_path).isic_id == "ISIC_0000002"


def test_the_archives_words_for_a_diagnosis_become_ham10000s(tmp_path: Path) -> None:
    words = {
        "Melanoma": "mel",
        "nevus": "nv",
        "NAEVUS": "nv",
        "common_nevus": "nv",
        "atypical_nevus": "nv",
        "basal cell carcinoma": "bcc",
        "actinic keratosis": "akiec",
        "seborrheic keratosis": "bkl",
        "dermatofibroma": "df",
        "vascular lesion": "vasc",
        "BKL": "bkl",
        "lentigo": "lentigo",
    }
    lines = (f"{number:02}.jpg,{number % 2},{word}" for number, word in enumerate(words))
    write_table(tmp_path, "file,label,diagnosis", *lines)
    assert attributes_of(tmp_path) == [{"diagnosis": short} for short in words.values()]


def are_kin(one: LesionRecord, other: LesionRecord) -> bool:
    return not set(one.kin()).isdisjoint(other.kin())


def picture(dataset: str, name: str = "a.jpg", **told: Any) -> LesionRecord:
    return LesionRecord(
        image_id=f"{dataset}:{name}",
        path=Path(name),
        is_malignant=False,
        dataset=dataset,
        **told,
    )


@pytest.mark.parametrize("field", ["lesion_id", "patient_id", "isic_id", "sha256", "cluster"])
def test_pictures_of_two_sets_that_share_one_thing_are_kin(field: str) -> None:
    one, other = picture("one", **{field: "7"}), picture("other", "b.jpg", **{field: "7"})
    assert are_kin(one, other)
    assert not are_kin(one, picture("other", "b.jpg", **{field: "8"}))


def test_a_lesion_and_a_patient_of_one_number_are_not_kin() -> None:
    assert not are_kin(picture("one", lesion_id="7"), picture("other", patient_id="7"))


def test_files_of_one_name_in_two_sets_are_not_kin() -> None:
    assert not are_kin(picture("one"), picture("other"))


def test_a_column_names_the_same_photograph_in_another_set(tmp_path: Path) -> None:
    write_table(
        tmp_path,
        "file,label,in_Melanoma_10605,in_ham10000",
        "a.jpg,benign,./train/benign/x.jpg,",
        "b.jpg,malignant,,",
    )
    benign, malignant = read_lesions(tmp_path)
    assert benign.same_as == ("melanoma_10605:train/benign/x.jpg",)
    assert malignant.same_as == ()
    twin = picture("melanoma-10605", "train/benign/x.jpg")
    assert are_kin(benign, twin)
    assert not are_kin(malignant, twin)
    assert not are_kin(benign, picture("ham10000", "train/benign/x.jpg"))


def test_the_twin_of_a_lone_set_is_found_by_its_plain_name(tmp_path: Path) -> None:
    make_files(tmp_path, "My Set/benign/a:b.jpg", "My Set/malignant/b.jpg")
    alone = only_benign_of(tmp_path / "My Set")
    assert alone.image_id == "benign/a:b.jpg"
    named = replace(alone, image_id=f"My Set:{alone.image_id}")
    assert alone.kin() == named.kin()
    assert are_kin(alone, picture("other", same_as=("my_set:benign/a:b.jpg",)))
