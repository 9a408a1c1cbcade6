"""Pictures packed into shards are the same pictures, to our commands and to TensorFlow."""

import csv
from pathlib import Path

import pytest
from made import draw_pictures, hash_file, picture_id

from edge_melanoma.check.report import examine_data, report_to_json
from edge_melanoma.commands.data_shard_run import shard_data
from edge_melanoma.data.image_files import PackedImage
from edge_melanoma.data.images import read_image_bytes
from edge_melanoma.data.lesions import LesionRecord, list_lesions, read_lesions
from edge_melanoma.data.screening import screen_images
from edge_melanoma.data.sets import list_skipped
from edge_melanoma.data.shard_packing import pack_images
from edge_melanoma.data.splits import fingerprint_of
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import SilentReporter

CARD = """name = "Drawn"
source = 'a "test"'
licence = "CC0"
geometry = "squares"
label_definition = "by name, ö"
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for side in ("train", "test"):
        draw_pictures(folder / side, *(range(12) if side == "train" else range(12, 24)))
    (folder / "dataset.toml").write_text(CARD, encoding="utf-8")
    return folder


def places_of(records: tuple[LesionRecord, ...]) -> list[PackedImage]:
    return [record.path for record in records if isinstance(record.path, PackedImage)]


def pack(pictures: Path, *out: Path, force: bool = False) -> tuple[LesionRecord, ...]:
    shard_data(pictures, out=out, shard_megabytes=1, force=force)
    return read_lesions(out[0])


def test_a_packed_set_is_the_same_set(pictures: Path, tmp_path: Path) -> None:
    plain, packed = read_lesions(pictures), pack(pictures, tmp_path / "shards")
    assert [(r.image_id, r.is_malignant, r.side) for r in packed] == [
        (r.image_id, r.is_malignant, r.side) for r in plain
    ]
    for one, other in zip(plain, packed, strict=True):
        assert isinstance(one.path, Path)
        assert isinstance(other.path, PackedImage)
        assert read_image_bytes(other.path) == one.path.read_bytes()
    found = [screen_images(records).readable for records in (plain, packed)]
    assert fingerprint_of({"": found[0]}) == fingerprint_of({"": found[1]})
    assert list_skipped(tmp_path / "shards", packed) == ()


def test_what_a_table_says_of_patients_is_packed_too(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    draw_pictures(folder, *range(4))
    rows = [
        f"{picture_id(n)},{('malignant', 'benign')[n % 2]},L{n},{40 + n},Female" for n in range(4)
    ]
    table = "\n".join(["file,label,lesion_id,age_approx,sex", *rows])
    (folder / "labels.csv").write_text(table, encoding="utf-8")
    packed = pack(folder, tmp_path / "shards")
    assert [r.lesion_id for r in packed] == ["L1", "L3", "L0", "L2"]
    assert dict(packed[1].attributes) == {"age": "43", "sex": "female"}
    assert [r.attributes for r in packed] == [r.attributes for r in read_lesions(folder)]


def test_shards_go_to_all_disks_in_turn(pictures: Path, tmp_path: Path) -> None:
    pack(pictures, tmp_path / "a", tmp_path / "b")
    pack_images(
        read_lesions(pictures),
        tmp_path / "a",
        places=[".", "disk-2"],
        shard_bytes=1,
        reporter=SilentReporter(),
    )
    packed = read_lesions(tmp_path / "a")
    assert len(list((tmp_path / "a").glob("shard-*.tfrecord"))) == 12
    assert len(list((tmp_path / "b").glob("shard-*.tfrecord"))) == 12
    assert len(screen_images(packed).readable) == 24
    assert list_skipped(tmp_path / "a", packed) == ()


def test_tensorflow_reads_the_shards(pictures: Path, tmp_path: Path) -> None:
    from edge_melanoma.machine.tensorflow import tf

    packed = pack(pictures, tmp_path / "shards")
    shards = sorted({str(image.path) for image in places_of(packed)})
    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/filename": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
    }
    examples = [
        tf.io.parse_single_example(example, features) for example in tf.data.TFRecordDataset(shards)
    ]
    assert [
        (e["image/filename"].numpy().decode(), int(e["image/class/label"])) for e in examples
    ] == [(r.image_id, int(r.is_malignant)) for r in packed]
    assert [e["image/encoded"].numpy() for e in examples] == [
        read_image_bytes(record.path) for record in packed
    ]


def test_the_card_goes_with_the_pictures(pictures: Path, tmp_path: Path) -> None:
    from edge_melanoma.data.cards import find_card

    pack(pictures, tmp_path / "shards")
    assert find_card(tmp_path / "shards") == find_card(pictures)


def test_a_check_finds_the_same(pictures: Path, tmp_path: Path) -> None:
    packed = tmp_path / "shards" / "pictures"
    pack(pictures, packed)
    plain, same = (
        report_to_json(examine_data({"set": folder}, cache_folder=None, reporter=SilentReporter()))
        for folder in (pictures, packed)
    )
    assert plain == same


def test_a_changed_shard_is_found_out(pictures: Path, tmp_path: Path) -> None:
    packed = pack(pictures, tmp_path / "shards")
    image = places_of(packed)[3]
    data = bytearray(image.path.read_bytes())
    data[image.offset + image.length // 2] ^= 1
    image.path.write_bytes(data)
    screening = screen_images(packed[:40])
    assert [bad.image_id for bad in screening.bad] == [image.name]
    assert "its shard has changed" in screening.bad[0].reason


def test_a_missing_shard_is_said(pictures: Path, tmp_path: Path) -> None:
    packed = pack(pictures, tmp_path / "shards")
    places_of(packed)[0].path.unlink()
    with pytest.raises(EdgeMelanomaError, match=r"shard of the image .* is missing"):
        screen_images(packed)


def test_unreadable_pictures_are_left_out(pictures: Path, tmp_path: Path) -> None:
    (pictures / "train" / "benign" / "zz.png").write_bytes(b"no picture")
    packed = pack(pictures, tmp_path / "shards")
    assert len(packed) == 24


def test_too_many_unreadable_pictures_leave_no_data_set(pictures: Path, tmp_path: Path) -> None:
    for number in range(4):
        (pictures / "train" / "benign" / f"zz{number}.png").write_bytes(b"no picture")
    with pytest.raises(EdgeMelanomaError, match="cannot be used, more than 5%"):
        pack(pictures, tmp_path / "shards")
    assert not (tmp_path / "shards" / "labels.csv").exists()


def test_only_shards_are_replaced(pictures: Path, tmp_path: Path) -> None:
    before = {path: hash_file(path) for path in pictures.rglob("*") if path.is_file()}
    pack(pictures, tmp_path / "shards")
    with pytest.raises(EdgeMelanomaError, match="is not empty"):
        pack(pictures, tmp_path / "shards")
    assert len(pack(pictures, tmp_path / "shards", force=True)) == 24
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    for out, reason in (
        (pictures, "given twice"),
        (tmp_path / "other", "notes.txt, which is no shard"),
    ):
        with pytest.raises(EdgeMelanomaError, match=reason):
            pack(pictures, out, force=True)
    assert before == {path: hash_file(path) for path in pictures.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("shard", "../elsewhere.tfrecord", "expected a path inside"),
        ("shard", "/etc/passwd", "expected a path inside"),
        ("offset", "-5", "does not say where"),
        ("length", "many", "does not say where"),
        ("sha256", "", "does not say where"),
    ],
)
def test_a_table_that_leads_astray_is_refused(
    pictures: Path, tmp_path: Path, column: str, value: str, reason: str
) -> None:
    pack(pictures, tmp_path / "shards")
    table = tmp_path / "shards" / "labels.csv"
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    rows[2][column] = value
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(EdgeMelanomaError, match=f"line 4 .*{reason}"):
        list_lesions(tmp_path / "shards")


def test_a_place_beyond_the_shard_is_a_bad_image(pictures: Path, tmp_path: Path) -> None:
    image = places_of(pack(pictures, tmp_path / "shards"))[0]
    beyond = PackedImage(
        path=image.path, offset=10**12, length=10, name=image.name, sha256=image.sha256
    )
    with pytest.raises(EdgeMelanomaError, match="its shard has changed"):
        read_image_bytes(beyond)
