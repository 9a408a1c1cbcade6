"""Pictures varied by geometry, sharpness and appearance, from seeds."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made import draw_pictures

from edge_melanoma.data.listing import list_lesions
from edge_melanoma.network.recipes import Appearance, Augmentation

STILL = Appearance(**dict.fromkeys(Appearance.__dataclass_fields__, 0.0))


@pytest.fixture
def images() -> Any:
    random = np.random.default_rng(0)
    return random.uniform(0.2, 0.8, (3, 32, 32, 3)).astype(np.float32)


def seeds_of(count: int, *, epoch: int = 0) -> Any:
    return np.array([[5, 0, epoch, number] for number in range(count)])


def test_an_appearance_of_zeros_changes_nothing(images: Any) -> None:
    from edge_melanoma.training.augmentation import vary_appearance

    same = vary_appearance(images, STILL, seeds=seeds_of(3))
    np.testing.assert_allclose(same, images, atol=1e-5)


def test_equal_seeds_give_equal_pictures_and_others_others(images: Any) -> None:
    from edge_melanoma.training.augmentation import vary_appearance

    first = vary_appearance(images, Appearance(), seeds=seeds_of(3))
    again = vary_appearance(images, Appearance(), seeds=seeds_of(3))
    other = vary_appearance(images, Appearance(), seeds=seeds_of(3, epoch=1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.01
    assert first.min() >= 0.0
    assert first.max() <= 1.0


@pytest.mark.parametrize(
    ("field", "largest"), [("brightness", 0.3), ("channel_gain", 0.2), ("contrast", 0.4)]
)
def test_light_and_contrast_change_by_no_more_than_they_may(
    images: Any, field: str, largest: float
) -> None:
    from edge_melanoma.training.augmentation import vary_appearance

    many = np.repeat(images[:1], 60, axis=0)
    appearance = replace(STILL, **{field: largest})
    seen = vary_appearance(many, appearance, seeds=seeds_of(60))
    # Of a picture that is far from 0 and 1 all pixels of a channel change by one factor.
    middle = many.mean(axis=(1, 2, 3), keepdims=True) if field == "contrast" else 0.0
    inside = (seen > 0) & (seen < 1)
    factors = np.where(inside, (seen - middle) / (many - middle), np.nan)
    each = np.nanmedian(factors, axis=(1, 2))
    changes = each - 1 if field == "contrast" else np.log(each)
    assert np.abs(changes).max() <= largest + 1e-3
    assert changes.min() < -0.8 * largest
    assert changes.max() > 0.8 * largest
    is_one_factor = field != "channel_gain"
    assert (np.ptp(each, axis=1).max() < 1e-3) == is_one_factor


def test_saturation_moves_colours_from_grey_and_leaves_grey(images: Any) -> None:
    from edge_melanoma.training.augmentation import vary_appearance

    many = np.repeat(images[:1], 60, axis=0)
    seen = vary_appearance(many, replace(STILL, saturation=0.5), seeds=seeds_of(60))
    grey, before = (one.mean(axis=3, keepdims=True) for one in (seen, many))
    factors = np.median(((seen - grey) / (many - before)).reshape(60, -1), axis=1)
    assert 0.5 - 1e-3 <= factors.min() < 0.6
    assert 1.4 < factors.max() <= 1.5 + 1e-3
    plain = np.repeat(before, 3, axis=3)
    still_grey = vary_appearance(plain, replace(STILL, saturation=0.5), seeds=seeds_of(60))
    np.testing.assert_allclose(still_grey, plain, atol=1e-5)


def test_noise_falls_on_its_share_of_the_pictures_alone() -> None:
    from edge_melanoma.training.augmentation import LARGEST_NOISE, vary_appearance

    grey = np.full((40, 32, 32, 3), 0.5, dtype=np.float32)
    plain, noisy = (
        vary_appearance(grey, replace(STILL, noise=share), seeds=seeds_of(40))
        for share in (0.0, 0.5)
    )
    deviations = (noisy - plain).std(axis=(1, 2, 3))
    assert 10 <= np.count_nonzero(deviations) <= 30
    assert deviations.max() <= 1.1 * LARGEST_NOISE
    apart = noisy[deviations > 0] - 0.5
    assert abs(np.corrcoef(apart[0].ravel(), apart[1].ravel())[0, 1]) < 0.1


def test_a_smaller_size_shows_the_same_frame() -> None:
    from edge_melanoma.training.augmentation import augment_images

    ramp = np.linspace(0, 255, 224, dtype=np.uint8)
    pixels = np.broadcast_to(ramp[None, None, :, None], (1, 224, 224, 3)).copy()
    still = Augmentation(flip=False, rotation=0.0, zoom=0.0, translation=0.0)
    small = augment_images(pixels, still, seeds=seeds_of(1), size=112)
    assert small.shape == (1, 112, 112, 3)
    expected = np.linspace(0, 255, 112)
    np.testing.assert_allclose(small[0, 50, :, 0], expected, atol=3)


@pytest.mark.parametrize("size", [32, 20])
def test_a_share_of_the_pictures_is_scaled_by_other_filters(size: int) -> None:
    from edge_melanoma.training.augmentation import augment_images

    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    usual = Augmentation(flip=False, zoom=0.1)
    varied = replace(usual, other_filters=0.5)

    def scaled(augmentation: Augmentation) -> Any:
        return augment_images(noise, augmentation, seeds=seeds_of(40), size=size)

    differing = (scaled(usual) != scaled(varied)).any(axis=(1, 2, 3))
    assert 10 <= differing.sum() <= 30
    assert np.array_equal(scaled(varied), scaled(varied))


RAMP = np.broadcast_to(np.arange(32, 224, 2, dtype=np.uint8)[None, None, :, None], (1, 96, 96, 3))
UNMOVED = Augmentation(flip=False, rotation=0.0, zoom=0.0, translation=0.0)


def seen_fields(augmentation: Augmentation, *, count: int) -> Any:
    """The side of what each picture shows, in sides of the original."""
    from edge_melanoma.training.augmentation import augment_images

    varied = augment_images(
        np.repeat(RAMP, count, axis=0), augmentation, seeds=seeds_of(count), size=96
    )
    # Two levels a pixel; the middle is not reached by what is reflected at the edges.
    return (varied[:, 48, 64, 0].astype(float) - varied[:, 48, 32, 0]) / 64


def test_a_field_is_what_is_seen_even_in_its_logarithm() -> None:
    fields = seen_fields(replace(UNMOVED, field=(0.5, 2.0)), count=400)
    assert 0.48 <= fields.min() < 0.53
    assert 1.9 < fields.max() <= 2.05
    # Half of them are smaller than the picture.
    assert 160 <= (fields < 1).sum() <= 240


def test_a_field_stands_in_place_of_the_zoom() -> None:
    fields = seen_fields(replace(UNMOVED, field=(1.0, 1.0), zoom=0.5), count=20)
    np.testing.assert_allclose(fields, 1.0, atol=0.05)
    zoomed = seen_fields(replace(UNMOVED, zoom=0.5), count=60)
    assert 0.45 <= zoomed.min() < 0.6
    assert 1.4 < zoomed.max() <= 1.55


def test_a_share_of_the_pictures_is_shown_from_fewer_pixels() -> None:
    from edge_melanoma.training.augmentation import augment_images

    noise = np.random.default_rng(0).integers(0, 256, (60, 224, 224, 3), np.uint8)
    varied = augment_images(noise, replace(UNMOVED, low_resolution=0.35), seeds=seeds_of(60))
    blurred = (varied != noise).any(axis=(1, 2, 3))
    assert 12 <= blurred.sum() <= 30
    # Of noise most is finer than 84 pixels can show.
    assert noise.std() > 70
    assert varied[blurred].std() < 45
    again = augment_images(noise, replace(UNMOVED, low_resolution=0.35), seeds=seeds_of(60))
    np.testing.assert_array_equal(again, varied)
    assert (noise == np.random.default_rng(0).integers(0, 256, noise.shape, np.uint8)).all()


def test_sharpness_filter_and_light_are_drawn_apart() -> None:
    from edge_melanoma.training.augmentation import augment_images, vary_appearance

    count = 600
    noise = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), np.uint8).repeat(count, 0)

    def changed(**chances: Any) -> Any:
        varied = augment_images(noise, replace(UNMOVED, **chances), seeds=seeds_of(count), size=40)
        usual = augment_images(noise[:1], UNMOVED, seeds=seeds_of(1), size=40)
        return (varied != usual).any(axis=(1, 2, 3))

    grey = np.full((count, 8, 8, 3), 0.5, dtype=np.float32)
    light = vary_appearance(grey, replace(STILL, brightness=0.2), seeds=seeds_of(count))
    drawn = np.stack(
        [
            changed(low_resolution=0.3),
            changed(other_filters=0.3),
            light.mean(axis=(1, 2, 3)),
        ]
    )
    between = np.corrcoef(drawn)[np.triu_indices(3, 1)]
    assert np.abs(between).max() < 0.15


def test_the_nearest_pixel_is_one_of_the_picture() -> None:
    from edge_melanoma.training.augmentation import augment_images

    black_and_white = np.random.default_rng(0).choice([0, 255], (30, 32, 32, 1)).astype(np.uint8)
    varied = augment_images(
        np.repeat(black_and_white, 3, axis=3),
        Augmentation(other_filters=1.0),
        seeds=seeds_of(30),
    )
    unmixed = np.isin(varied, [0, 255]).all(axis=(1, 2, 3))
    assert 5 <= unmixed.sum() <= 25


@pytest.mark.parametrize(
    ("augmentation", "rows"),
    [
        (None, ["benign", "malignant"]),
        (Augmentation(), ["benign", "benign, augmented", "malignant", "malignant, augmented"]),
    ],
)
def test_the_sheet_of_samples_shows_the_augmentation_of_the_recipe_or_none(
    augmentation: Augmentation | None, rows: list[str], tmp_path: Path
) -> None:
    from edge_melanoma.training.record import sample_rows

    draw_pictures(tmp_path, *range(4))
    split: Any = SimpleNamespace(train=list_lesions(tmp_path), seed=0)
    found = sample_rows(split, augmentation)
    assert list(found) == rows
    for plain, varied in zip(rows[::2], rows[1::2], strict=True) if augmentation else ():
        assert not np.array_equal(found[plain][0], found[varied][0])
