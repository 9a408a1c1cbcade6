"""Two files are compared where they overlap: fine detail agrees for one scene, also shifted."""

from pathlib import Path

import numpy as np
from copied_lesions import draw
from PIL import Image, ImageDraw, ImageFilter

from edge_melanoma.data.copies.detail import (
    CloseLook,
    DetailView,
    common_views,
    detail_in_common,
    detail_of,
    look_closely,
)

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


def skin(seed: int, *, round_view: bool = False) -> Image.Image:
    """Blotches with fine grain below a dark spot, if wanted through a round field of view."""
    rng = np.random.default_rng(seed)
    grain = Image.fromarray(rng.integers(60, 200, (120, 120), dtype=np.uint8))
    image = grain.filter(ImageFilter.GaussianBlur(1.2))
    ImageDraw.Draw(image).ellipse((40, 44, 72, 70), outline=90, width=3)
    if round_view:
        field = Image.new("L", image.size, 0)
        ImageDraw.Draw(field).ellipse((12, 12, 108, 108), fill=255)
        image = Image.composite(image, Image.new("L", image.size, 0), field)
    return image


def view(image: Image.Image, box: tuple[int, int, int, int] = (20, 20, 100, 100)) -> DetailView:
    return detail_of(np.asarray(image.crop(box).resize((80, 80)), dtype=np.float32))


def test_a_shifted_and_stretched_view_of_one_scene_agrees() -> None:
    one = view(skin(0))
    assert detail_in_common(one, one) > 0.999
    assert detail_in_common(one, view(skin(0), (24, 17, 104, 97))) > 0.9
    assert detail_in_common(one, view(skin(0), (22, 19, 100, 98))) > 0.9


def test_two_scenes_with_the_same_outline_do_not_agree() -> None:
    assert detail_in_common(view(skin(0)), view(skin(1))) < 0.5


def test_a_round_field_of_view_makes_no_two_scenes_alike() -> None:
    whole = (0, 0, 120, 120)
    one, other = (view(skin(seed, round_view=True), whole) for seed in (0, 1))
    assert detail_in_common(one, other) < 0.5
    assert detail_in_common(one, one) > 0.999


def test_plain_pictures_have_all_in_common() -> None:
    plain = detail_of(np.full((80, 80), 120, np.float32))
    assert detail_in_common(plain, plain) == 1
    assert detail_in_common(plain, view(skin(0))) == 0
