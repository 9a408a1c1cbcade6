"""Batches in the order of an epoch: from pictures or a store, shared by processes and devices."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.data.listing import read_lesions
from edge_melanoma.data.screening import screen_images
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.network.recipes import Appearance, Augmentation


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
        "targets": Numbers.labels[:, np.newaxis],
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
        rows = np.concatenate([wanted[:, 0] for _, wanted in shown])
        np.testing.assert_array_equal(rows, np.arange(10))
        batches.on_epoch_end()


def test_batches_out_of_order_are_refused() -> None:
    batches = epoch_batches()
    assert len(batches[0][0]) == 4
    with pytest.raises(IndexError, match="batch 2 was asked for instead of 1"):
        batches[2]


def test_targets_come_in_the_order_of_the_epoch() -> None:
    targets = np.linspace([0, 5], [0.9, 14], 10, dtype=np.float32)
    _, wanted = epoch_batches(targets=targets)[0]
    np.testing.assert_array_equal(wanted[:, 0], [0, 1, 2, 3])
    np.testing.assert_allclose(wanted[:, 1], [0.8, 0.9, 0.0, 0.1], rtol=1e-6)
    np.testing.assert_allclose(wanted[:, 2], [13, 14, 5, 6])


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
