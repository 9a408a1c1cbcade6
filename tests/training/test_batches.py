"""What an epoch shows: its order, its variations drawn from seeds, and batches in that order."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.data.lesions import LesionRecord, read_lesions
from edge_melanoma.data.screening import screen_images
from edge_melanoma.machine.terminal import SilentReporter
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


def test_shades_of_grey_take_out_a_cast(images: Any) -> None:
    from edge_melanoma.training.augmentation import vary_appearance

    tinted = images * np.array([1.0, 0.8, 0.6], dtype=np.float32)
    balanced = vary_appearance(tinted, replace(STILL, shades_of_grey=1.0), seeds=seeds_of(3))
    means = balanced.mean(axis=(0, 1, 2))
    assert np.ptp(means) < 0.1 * np.ptp(tinted.mean(axis=(0, 1, 2)))


def test_a_round_field_blackens_the_corners_and_not_the_centre(images: Any) -> None:
    from edge_melanoma.training.augmentation import vary_appearance

    seen = vary_appearance(images, replace(STILL, round_field=1.0), seeds=seeds_of(3))
    assert (seen[:, 0, 0] < images[:, 0, 0]).all()
    np.testing.assert_allclose(seen[:, 12:20, 12:20], images[:, 12:20, 12:20], atol=1e-3)


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
    from edge_melanoma.training.activations import DecodedPictures, cache_activations
    from edge_melanoma.training.batches import PictureBatches, labels_of

    records = screen_images(read_lesions(phantoms)).readable[:10]
    order = np.arange(10)[::-1]
    plain = PictureBatches(
        files=[record.path for record in records],
        labels=labels_of(records),
        seed=(1, 0),
        augmentation=Augmentation(appearance=Appearance()),
        image_size=96,
    )
    store = cache_activations(
        DecodedPictures(), records, cache_folder=tmp_path, reporter=SilentReporter()
    )
    stored = replace(plain, store=store)
    for a, b in zip(
        stored.batches(order, batch_size=4, epoch=2),
        plain.batches(order, batch_size=4, epoch=2),
        strict=True,
    ):
        assert a.shape[1:] == (96, 96, 3)
        np.testing.assert_array_equal(a, b)


def records_of(source: str | None, *, benign: int, malignant: int) -> list[LesionRecord]:
    return [
        LesionRecord(
            image_id=f"{source}:{number}",
            path=Path("unused"),
            is_malignant=number >= benign,
            source=source,
        )
        for number in range(benign + malignant)
    ]


LARGE = records_of("large", benign=60, malignant=40)
SMALL = records_of("small", benign=30, malignant=6)


def test_of_one_set_every_picture_is_shown_once() -> None:
    from edge_melanoma.training.batches import draw_epoch

    records = records_of(None, benign=5, malignant=5)
    order = draw_epoch(records, source_share=0.3, random=np.random.default_rng(0))
    assert sorted(order) == list(range(10))
    assert list(order) != list(range(10))


def test_without_a_share_every_picture_of_all_sets_is_shown_once() -> None:
    from edge_melanoma.training.batches import draw_epoch

    order = draw_epoch(LARGE + SMALL, source_share=None, random=np.random.default_rng(0))
    assert sorted(order) == list(range(136))


def test_a_smaller_set_gives_its_share_half_of_it_malignant() -> None:
    from edge_melanoma.training.batches import draw_epoch

    records = LARGE + SMALL
    order = draw_epoch(records, source_share=0.4, random=np.random.default_rng(0))
    shown = Counter((records[i].source, records[i].is_malignant) for i in order)
    assert shown == {
        ("large", False): 60,
        ("large", True): 40,
        ("small", False): 20,
        ("small", True): 20,
    }


def test_no_picture_is_shown_again_before_all_of_its_class_were() -> None:
    from edge_melanoma.training.batches import draw_epoch

    records = LARGE + SMALL
    order = draw_epoch(records, source_share=0.4, random=np.random.default_rng(0))
    times = Counter(i for i in order if records[i].source == "small" and records[i].is_malignant)
    assert set(times.values()) == {3, 4}
    assert len(times) == 6


class Numbers:
    """A source whose inputs tell which picture and epoch they are."""

    labels = np.arange(10, dtype=np.float32) % 2

    def batches(self, order: Any, *, batch_size: int, epoch: int) -> Any:
        for start in range(0, len(order), batch_size):
            positions = order[start : start + batch_size]
            yield (positions + 100.0 * epoch).astype(np.float32)


def epoch_batches(**changes: Any) -> Any:
    from edge_melanoma.training.batches import EpochBatches
    from edge_melanoma.training.devices import ALONE

    arguments: dict[str, Any] = {
        "targets": Numbers.labels,
        "batch_size": 4,
        "epoch": 2,
        "devices": ALONE,
    }
    return EpochBatches(
        Numbers(), lambda epoch: np.roll(np.arange(10), epoch), **arguments | changes
    )


def test_epochs_follow_each_other_in_their_order() -> None:
    batches = epoch_batches()
    for epoch in (2, 3):
        shown = [batches[index] for index in range(len(batches))]
        inputs = np.concatenate([inputs for inputs, _ in shown])
        np.testing.assert_array_equal(inputs, np.roll(np.arange(10), epoch) + 100 * epoch)
        rows = np.concatenate([wanted[:, 1] for _, wanted in shown])
        np.testing.assert_array_equal(rows, np.arange(10))
        batches.on_epoch_end()


def test_batches_out_of_order_are_refused() -> None:
    batches = epoch_batches()
    assert len(batches[0][0]) == 4
    with pytest.raises(IndexError, match="batch 2 was asked for instead of 1"):
        batches[2]


def test_targets_come_in_the_order_of_the_epoch() -> None:
    targets = np.linspace(0, 0.9, 10, dtype=np.float32)
    _, wanted = epoch_batches(targets=targets)[0]
    np.testing.assert_allclose(wanted[:, 0], [0.8, 0.9, 0.0, 0.1], rtol=1e-6)


def test_processes_share_every_batch() -> None:
    from edge_melanoma.training.devices import Devices

    whole = [
        epoch_batches()[0][0],
        *[epoch_batches(devices=Devices(workers=2, index=i))[0][0] for i in (0, 1)],
    ]
    assert [len(part) for part in whole] == [4, 2, 2]
    np.testing.assert_array_equal(np.concatenate(whole[1:]), whole[0])


def test_devices_of_a_process_take_turns() -> None:
    from edge_melanoma.training.devices import Devices

    shares = epoch_batches(devices=Devices(local=2)).for_each_device()
    taken = [next(shares)[0] for _ in range(8)]
    assert [len(part) for part in taken] == [2, 2, 2, 2, 1, 1, 2, 2]
    assert taken[0][0] == 208
    assert taken[6][0] == 307
