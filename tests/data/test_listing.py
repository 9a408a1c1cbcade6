"""Data sets are read in each shape of folder that is promised, and malignant is always true."""

from pathlib import Path

import pytest

from edge_melanoma.data.labels import Reading
from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import TerminalReporter

LAYOUT = (
    "expected the folders benign and malignant, the same inside train and test, "
    "a labels.csv with the columns file,label[,lesion_id], or a table with --labels FILE"
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


@pytest.mark.parametrize("header", ["file,truth", "picture,label", ""])
def test_a_table_without_known_columns_is_refused(tmp_path: Path, header: str) -> None:
    table = write_table(tmp_path, header)
    assert refusal_of(tmp_path).startswith(
        f"{table} has the header {header or 'nothing'}; expected "
        "file,label[,lesion_id,patient_id], or the columns of a public table: "
        "image_id,dx (HAM10000); image,mel,nv (ISIC 2018 and 2019); "
    )


def test_an_unknown_label_is_named_with_its_line(tmp_path: Path) -> None:
    table = write_table(tmp_path, "file,label", "a.jpg,benign", "b.jpg,Nevus")
    assert refusal_of(tmp_path) == (
        f"{table} line 3 has the label 'Nevus'; expected benign or malignant (or 0 or 1), or say "
        "which of benign, nevus are malignant, such as --malignant NAME."
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
        f"The folder {tmp_path / 'tests'} holds images beside train and test; {LAYOUT}."
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


def read_and_tell(
    folder: Path, capsys: pytest.CaptureFixture[str], *tables: Path, malignant: str = ""
) -> tuple[dict[str, bool], list[str]]:
    """Labels by image id, and what was said meanwhile."""
    reading = Reading(
        tables=tuple((None, table) for table in tables),
        malignant=tuple(filter(None, malignant.split(","))),
    )
    records = read_lesions(folder, reading, reporter=TerminalReporter())
    labels = {record.image_id: record.is_malignant for record in records}
    return labels, capsys.readouterr().err.splitlines()


def test_rows_without_a_picture_are_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_files(tmp_path / "set", "x/ISIC_1.png", "x/ISIC_2.png")
    table = tmp_path / "ham.csv"
    table.write_text("image_id,dx\nISIC_1,mel\nISIC_2,nv\nISIC_3,nv\n")
    labels, told = read_and_tell(tmp_path / "set", capsys, table, malignant="mel")
    assert labels == {"x/ISIC_1.png": True, "x/ISIC_2.png": False}
    assert told == [
        f"Left out: 1 of 3 images of {table} are not below {tmp_path / 'set'}, such as 'ISIC_3'",
        "Classes of set: 1 malignant images (mel) and 1 benign images (nv)",
    ]


def test_a_table_of_other_pictures_is_refused(tmp_path: Path) -> None:
    make_files(tmp_path / "set", "a.png")
    table = tmp_path / "ham.csv"
    table.write_text("image_id,dx\nISIC_1,mel\n")
    with pytest.raises(EdgeMelanomaError) as caught:
        read_lesions(tmp_path / "set", Reading(tables=((None, table),)))
    assert str(caught.value) == (
        f"1 of 1 images of {table} are not below {tmp_path / 'set'}, such as 'ISIC_1'; "
        "expected files of these names."
    )


def test_a_missing_picture_of_a_sets_own_table_is_not_another_one_of_its_name(
    tmp_path: Path,
) -> None:
    make_files(tmp_path, "malignant/1.jpg")
    write_table(tmp_path, "file,label", "benign/1.jpg,0", "malignant/1.jpg,1")
    assert labels_of(tmp_path) == {"benign/1.jpg": False, "malignant/1.jpg": True}


@pytest.mark.parametrize("word", ["", "nan", "Unknown", "NA"])
def test_what_is_not_known_is_no_lesion_and_no_clinic(tmp_path: Path, word: str) -> None:
    columns = "lesion_id,patient_id,isic_id,clinic"
    rows = [f"{name},{','.join([word] * 4)}" for name in ("a.jpg,0", "b.jpg,1")]
    write_table(tmp_path, f"file,label,{columns}", *rows)
    for one in read_lesions(tmp_path):
        assert (one.lesion_id, one.patient_id, one.isic_id, one.clinic) == (None,) * 4


def test_labels_that_contradict_folders_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_files(tmp_path, "benign/a.jpg", "malignant/b.jpg", "malignant/c.jpg")
    write_table(tmp_path, "file,label", "benign/a.jpg,1", "malignant/b.jpg,0", "malignant/c.jpg,1")
    labels, told = read_and_tell(tmp_path, capsys)
    assert list(labels.values()) == [True, False, True]
    assert told == [
        "The labels of 2 images contradict the folders that they stand in, such as that of "
        "benign/a.jpg: the labels count"
    ]


def test_pictures_of_which_nobody_knows_are_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_files(tmp_path / "set", *(f"ISIC_000000{n}.jpg" for n in range(4)))
    table = tmp_path / "metadata.csv"
    words = ("Benign", "Malignant", "Indeterminate", "")
    lines = (f"ISIC_000000{n},{word}" for n, word in enumerate(words))
    table.write_text("\n".join(["isic_id,diagnosis_1", *lines]))
    labels, told = read_and_tell(tmp_path / "set", capsys, table)
    assert labels == {"ISIC_0000000.jpg": False, "ISIC_0000001.jpg": True}
    assert told == ["Left out: 2 images of set whose class is not known"]


def test_a_test_folder_without_labels_is_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_files(tmp_path, "train/benign/a.jpg", "train/malignant/b.jpg", "test/c.jpg")
    labels, told = read_and_tell(tmp_path, capsys)
    assert labels == {"train/benign/a.jpg": False, "train/malignant/b.jpg": True}
    assert told == [
        f"Left out: the images of {tmp_path / 'test'}, which are in no class folder. To score "
        f"them: edge-melanoma predict MODEL {tmp_path / 'test'}"
    ]


def test_lesions_may_stand_in_a_table_of_their_own(tmp_path: Path) -> None:
    make_files(tmp_path / "set", "a.jpg", "b.jpg", "c.jpg")
    classes, lesions = tmp_path / "truth.csv", tmp_path / "metadata.csv"
    classes.write_text("image,MEL,NV\na,1.0,0.0\nb,0.0,1.0\nc,0.0,1.0\n")
    lesions.write_text("image,lesion_id,sex\na,L1,male\nb,L2,female\n")
    reading = Reading(tables=((None, lesions), (None, classes)), malignant=("mel",))
    records = read_lesions(tmp_path / "set", reading)
    assert [(r.is_malignant, r.lesion_id, dict(r.attributes)) for r in records] == [
        (True, "L1", {"sex": "male", "diagnosis": "mel"}),
        (False, "L2", {"sex": "female", "diagnosis": "nv"}),
        (False, None, {"diagnosis": "nv"}),
    ]
    with pytest.raises(EdgeMelanomaError, match="one layout that states classes"):
        read_lesions(tmp_path / "set", Reading(tables=((None, lesions),)))


def test_tables_of_two_layouts_are_not_one_set(tmp_path: Path) -> None:
    make_files(tmp_path / "set", "a.jpg", "b.jpg")
    tables = []
    for name, header in (("ham", "image_id,dx"), ("own", "file,label")):
        tables.append((None, tmp_path / f"{name}.csv"))
        tables[-1][1].write_text(f"{header}\na,1\nb,0\n")
    with pytest.raises(EdgeMelanomaError, match="got HAM10000 and own tables: give each set"):
        read_lesions(tmp_path / "set", Reading(tables=tuple(tables)))


def test_a_set_of_plain_words_needs_no_other_and_keeps_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_files(tmp_path, "benign/a.jpg", "malignant/b.jpg")
    labels, told = read_and_tell(tmp_path, capsys, malignant="mel,bcc")
    assert list(labels.values()) == [False, True]
    name = tmp_path.name
    assert told == [f"The classes of {name} are benign and malignant, without --malignant"]


def test_what_is_called_malignant_is_so_beside_classes_of_other_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_files(tmp_path, "benign/a.jpg", "malignant/b.jpg", "melanoma/c.jpg")
    labels, _ = read_and_tell(tmp_path, capsys, malignant="melanoma")
    assert list(labels.values()) == [False, True, True]


@pytest.mark.parametrize("names", ["mel", "melanoma", "MELANOMA", "bcc,mel"])
def test_class_folders_of_any_name_are_read_where_a_person_says_which_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: str
) -> None:
    make_files(tmp_path, "Melanoma/a.jpg", "nevus/b.jpg", "scar/c.jpg")
    labels, told = read_and_tell(tmp_path, capsys, malignant=names)
    assert labels == {"Melanoma/a.jpg": True, "nevus/b.jpg": False, "scar/c.jpg": False}
    name = tmp_path.name
    assert told == [
        f"Classes of {name}: 1 malignant images (melanoma) and 2 benign images (nevus, scar)"
    ]
    reading = Reading(malignant=tuple(names.split(",")))
    found = [dict(record.attributes) for record in read_lesions(tmp_path, reading)]
    assert found == [{"diagnosis": "mel"}, {"diagnosis": "nv"}, {"diagnosis": "scar"}]


def test_long_lists_of_classes_are_cut(tmp_path: Path) -> None:
    make_files(tmp_path, *(f"class {n:02}/a.jpg" for n in range(20)))
    assert "class 10, class 11 and 8 more are malignant, such as --malignant NAME." in refusal_of(
        tmp_path
    )
