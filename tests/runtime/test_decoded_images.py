"""Pictures decoded once: the pixels of `read_image`, in a file that does not stay."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge_melanoma.data.decoding import UnreadableImageError
from edge_melanoma.data.images import read_image
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runtime.classifiers import decoded


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
