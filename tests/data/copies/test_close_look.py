"""Two files are compared where they overlap."""

from pathlib import Path

import numpy as np
from copied_lesions import draw

from edge_melanoma.data.copies.detail import CloseLook, common_views, look_closely

MIDDLE, WHOLE = np.zeros(2, np.float32), np.ones(2, np.float32)


def test_a_turned_and_recompressed_copy_is_one(tmp_path: Path) -> None:
    draw(1).save(tmp_path / "a.png")
    draw(1).rotate(-90, expand=True).save(tmp_path / "b.jpg", quality=50)
    first, second = tmp_path / "a.png", tmp_path / "b.jpg"
    look = look_closely(first, second, turn=1, centre=MIDDLE, extent=WHOLE)
    assert look.is_copy
    assert look.hash_distance < 20


def test_another_lesion_is_none(tmp_path: Path) -> None:
    for seed in (1, 2):
        draw(seed).save(tmp_path / f"{seed}.png")
    first, second = tmp_path / "1.png", tmp_path / "2.png"
    assert not look_closely(first, second, turn=0, centre=MIDDLE, extent=WHOLE).is_copy


def test_views_show_what_both_pictures_hold(tmp_path: Path) -> None:
    draw(1).save(tmp_path / "all.png")
    draw(1).crop((112, 0, 224, 224)).save(tmp_path / "right half.png")
    one, other = common_views(
        tmp_path / "all.png",
        tmp_path / "right half.png",
        turn=0,
        centre=np.array([0.25, 0], np.float32),
        extent=np.array([0.5, 1], np.float32),
    )
    np.testing.assert_allclose(np.asarray(one, int), np.asarray(other, int), atol=4)


def test_both_the_hash_and_the_detail_must_agree() -> None:
    assert CloseLook(hash_distance=90, detail=0.72).is_copy
    assert not CloseLook(hash_distance=92, detail=0.99).is_copy
    assert not CloseLook(hash_distance=0, detail=0.71).is_copy
