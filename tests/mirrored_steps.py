"""Epochs of one device and of two beside each other; to be run in a process of its own.

    python tests/mirrored_steps.py

In float64: one step's gradients of 53 layers from random weights differ by some 2 % in float32
already when the same sums are made in another order, and by 1e-13 in float64.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from edge_melanoma.machine.tensorflow import tf, tf_keras
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.network.network import build_network
from edge_melanoma.network.recipes import BACKBONE_LAYERS, VARIANTS, Stage, Variant
from edge_melanoma.training.checkpoints import TrainingState
from edge_melanoma.training.devices import ALONE, Devices, mirror
from edge_melanoma.training.fit import fit_stage
from edge_melanoma.training.trainee import Trainee

SIZE, IMAGES, BATCH = 32, 16, 10
"""The epoch's last batch is smaller."""

STAGE = Stage(name="s", unfrozen_backbone_layers=BACKBONE_LAYERS, learning_rate=1e-3, epochs=2)
SPEC = replace(VARIANTS[Variant.SCRATCH], dropout=0.0)
"""Each device draws its own masks of dropout."""


class Noise:
    """Pictures of noise in float64."""

    def __init__(self, images: int) -> None:
        random = np.random.default_rng(0)
        self.inputs = random.random((images, SIZE, SIZE, 3))
        self.labels = np.arange(images, dtype=np.float32) % 2

    def batches(self, order: Any, *, batch_size: int, epoch: int) -> Iterator[Any]:
        """Of any order."""
        for start in range(0, len(order), batch_size):
            positions = order[start : start + batch_size]
            yield self.inputs[positions]


def make_two_devices() -> None:
    """Two logical CPUs; to be called before TensorFlow has looked for devices."""
    (device,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(device, halves)


def train(devices: Devices) -> dict[str, np.ndarray]:
    """All weights and moving statistics after two epochs."""
    with devices.scope():
        network = build_network(SPEC, seed=0, image_size=SIZE)
    noise = Noise(IMAGES)
    fit_stage(
        Trainee(
            network=network,
            model=network,
            stage=STAGE,
            train=noise,
            validation=noise,
            batch_size=BATCH,
            seed=0,
        ),
        state=TrainingState(settings=""),
        on_epoch=lambda: None,
        reporter=SilentReporter(),
        devices=devices,
    )
    return {weight.name: weight.numpy() for weight in network.weights}


def main() -> None:
    """Print how far the weights have moved, by the median, and the largest difference of any."""
    make_two_devices()
    tf_keras.backend.set_floatx("float64")
    network = build_network(SPEC, seed=0, image_size=SIZE)
    start = {weight.name: weight.numpy() for weight in network.weights}
    one, two = train(ALONE), train(mirror())
    told = {
        "moved": float(np.median([np.abs(one[name] - start[name]).max() for name in start])),
        "difference": max(float(np.abs(one[name] - two[name]).max()) for name in start),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
