"""Several models over pictures that are decoded once: each its own scores, in order."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tflite_files import mean_model

from edge_melanoma.data.images import UnreadableImageError, read_image
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runtime.classifiers import CHUNK_SIZE, DecodedImages, SessionPool, decoded
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime

COUNT = 2 * CHUNK_SIZE + 1


def settings_of(data: bytes, name: str) -> SessionSettings:
    return SessionSettings(data=data, name=name, runtime=Runtime.LITERT)


@pytest.fixture
def images(tmp_path: Path) -> DecodedImages:
    """Grey pictures, each lighter than the one before."""
    path = tmp_path / "images.uint8"
    greys = np.linspace(0, 255, COUNT).astype(np.uint8)
    path.write_bytes(np.repeat(greys, 224 * 224 * 3).tobytes())
    return DecodedImages(path=path, count=COUNT)


def test_each_model_gives_its_own_scores_in_the_order_of_the_pictures(
    images: DecodedImages,
) -> None:
    models = {
        name: settings_of(mean_model(tensor="", signature=name), name)
        for name in ("p_malignant", "logit")
    }
    with SessionPool(models, workers=2) as pool:
        found = {
            name: list(pool.map(images.score, range(COUNT), model=name))
            for name in (*models, "p_malignant")
        }
    for name, settings in models.items():
        session = TFLiteSession(settings)
        assert found[name] == [session.score(image) for image in images.open()]
    assert found["p_malignant"] != found["logit"]
    assert found["p_malignant"] == sorted(found["p_malignant"])


def test_a_refused_model_is_one_sentence_and_leaves_the_others(images: DecodedImages) -> None:
    good = settings_of(mean_model(tensor="", signature="p_malignant"), "good.tflite")
    models = {"bad": settings_of(b"These are notes.", "bad.tflite"), "good": good}
    with SessionPool(models, workers=1) as pool:
        with pytest.raises(EdgeMelanomaError) as caught:
            list(pool.map(images.score, range(COUNT), model="bad"))
        assert str(caught.value).startswith("The interpreter ai_edge_litert refuses bad.tflite: ")
        assert len(list(pool.map(images.score, range(COUNT), model="good"))) == COUNT


def test_pixels_are_those_of_each_file_in_order_and_are_gone_afterwards(phantoms: Path) -> None:
    paths = sorted(phantoms.rglob("phantom_*"))[:35]
    with decoded(paths, reporter=SilentReporter()) as images:
        pixels = images.open()
        assert pixels.shape == (35, 224, 224, 3)
        for number in (0, 31, 32, 34):
            assert np.array_equal(pixels[number], read_image(paths[number]))
        assert not pixels.flags.writeable
        file = images.path
        assert file.stat().st_size == 35 * 224 * 224 * 3
    assert not file.parent.exists()


def test_a_broken_picture_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with (
        pytest.raises(UnreadableImageError) as caught,
        decoded([broken], reporter=SilentReporter()),
    ):
        pytest.fail("a broken picture was decoded")
    assert str(caught.value) == f"The image {broken} is not a picture."


def test_a_full_disk_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    paths = [tmp_path / "missing.png"] * 7
    with pytest.raises(EdgeMelanomaError) as caught, decoded(paths, reporter=SilentReporter()):
        pytest.fail("pixels were written to a full disk")
    # 7 x 224 x 224 x 3 bytes.
    assert str(caught.value) == (
        f"The decoded pixels of 7 images need 1.05 MB in {tmp_path}, which has 1 MB free; make "
        f"room, set TMPDIR to another folder, or take fewer images with --limit."
    )
