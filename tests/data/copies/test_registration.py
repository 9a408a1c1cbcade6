"""Fine detail agrees for one scene, also shifted, and not for two scenes of a like outline."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from edge_melanoma.data.copies.detail import DetailView, detail_in_common, detail_of


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
