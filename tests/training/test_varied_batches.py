"""Pictures as another camera might have seen them: drawn from seeds, within range, size kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.data.lesions import read_lesions
from edge_melanoma.data.screening import screen_images
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.network.recipes import Appearance, Augmentation, Stage

STILL = Appearance(**dict.fromkeys(Appearance.__dataclass_fields__, 0.0))
STAGE = Stage(
    name="s",
    unfrozen_backbone_layers=154,
    learning_rate=1.0,
    epochs=1,
    image_size=96,
    augmentation=Augmentation(appearance=Appearance()),
)


@pytest.fixture
def images() -> Any:
    random = np.random.default_rng(0)
    return random.uniform(0.2, 0.8, (3, 32, 32, 3)).astype(np.float32)


def seeds_of(count: int, *, epoch: int = 0) -> Any:
    return np.array([[5, 0, epoch, number] for number in range(count)])


def test_an_appearance_of_zeros_changes_nothing(images: Any) -> None:
    from edge_melanoma.training.appearance import vary_appearance

    same = vary_appearance(images, STILL, seeds=seeds_of(3))
    np.testing.assert_allclose(same, images, atol=1e-5)


def test_equal_seeds_give_equal_pictures_and_others_others(images: Any) -> None:
    from edge_melanoma.training.appearance import vary_appearance

    first = vary_appearance(images, Appearance(), seeds=seeds_of(3))
    again = vary_appearance(images, Appearance(), seeds=seeds_of(3))
    other = vary_appearance(images, Appearance(), seeds=seeds_of(3, epoch=1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.01
    assert first.min() >= 0.0
    assert first.max() <= 1.0


def test_shades_of_grey_take_out_a_cast(images: Any) -> None:
    from edge_melanoma.training.appearance import vary_appearance

    tinted = images * np.array([1.0, 0.8, 0.6], dtype=np.float32)
    balanced = vary_appearance(tinted, replace(STILL, shades_of_grey=1.0), seeds=seeds_of(3))
    means = balanced.mean(axis=(0, 1, 2))
    assert np.ptp(means) < 0.1 * np.ptp(tinted.mean(axis=(0, 1, 2)))


def test_a_round_field_blackens_the_corners_and_not_the_centre(images: Any) -> None:
    from edge_melanoma.training.appearance import vary_appearance

    seen = vary_appearance(images, replace(STILL, round_field=1.0), seeds=seeds_of(3))
    assert (seen[:, 0, 0] < images[:, 0, 0]).all()
    np.testing.assert_allclose(seen[:, 12:20, 12:20], images[:, 12:20, 12:20], atol=1e-3)


def test_noise_falls_on_its_share_of_the_pictures_alone() -> None:
    from edge_melanoma.training.appearance import LARGEST_NOISE, vary_appearance

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


def test_the_pixel_store_gives_the_same_batches_as_the_files(
    phantoms: Path, tmp_path: Path
) -> None:
    from edge_melanoma.training.varied_batches import varied_batches

    records = screen_images(read_lesions(phantoms)).readable[:10]
    order = np.arange(10)[::-1]
    stored, plain = (
        varied_batches(
            records,
            STAGE,
            stage_number=0,
            seed=1,
            cache_folder=folder,
            reporter=SilentReporter(),
        )
        for folder in (tmp_path, None)
    )
    for (a, labels_a), (b, labels_b) in zip(
        stored.batches(order, batch_size=4, epoch=2),
        plain.batches(order, batch_size=4, epoch=2),
        strict=True,
    ):
        assert a.shape[1:] == (96, 96, 3)
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(labels_a, labels_b)
