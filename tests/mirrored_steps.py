"""Steps of one device and of two beside each other; to be run in a process of its own.

    python tests/mirrored_steps.py

In float64: one step's gradients of 53 layers from random weights differ by some 2 % in float32
already when the same sums are made in another order, and by 1e-13 in float64.
"""

import json

import numpy as np

from edge_melanoma.machine.tensorflow import tf, tf_keras
from edge_melanoma.network.network import build_network, freeze_backbone, reset_dropout
from edge_melanoma.network.recipes import BACKBONE_LAYERS, VARIANTS, Variant
from edge_melanoma.training.learners import LoneLearner, make_learner
from edge_melanoma.training.replicas import ALONE, Replicas, mirror

SIZE, STEPS, IMAGES = 32, 2, 10
LEARNING_RATE = 1e-3


def make_two_devices() -> None:
    """Two logical CPUs; to be called before TensorFlow has looked for devices."""
    (device,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(device, halves)


def take_steps(replicas: Replicas) -> dict[str, np.ndarray]:
    """All weights and moving statistics after the steps."""
    network = build_network(VARIANTS[Variant.SCRATCH], seed=0, image_size=SIZE)
    freeze_backbone(network, unfrozen_layers=BACKBONE_LAYERS)
    reset_dropout(network, seeds=[0])
    learner = make_learner(network, learning_rate=LEARNING_RATE, replicas=replicas)
    assert isinstance(learner, LoneLearner) is (replicas is ALONE)
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        inputs = random.random((IMAGES, SIZE, SIZE, 3))
        labels = random.integers(0, 2, IMAGES).astype(np.float64)
        learner.step(inputs, labels, images=IMAGES)
    learner.settle()
    return {weight.name: weight.numpy() for weight in network.weights}


def main() -> None:
    """Print how far the weights have moved, by the median, and the largest difference of any."""
    make_two_devices()
    tf_keras.backend.set_floatx("float64")
    network = build_network(VARIANTS[Variant.SCRATCH], seed=0, image_size=SIZE)
    start = {weight.name: weight.numpy() for weight in network.weights}
    one, two = take_steps(ALONE), take_steps(mirror())
    told = {
        "moved": float(np.median([np.abs(one[name] - start[name]).max() for name in start])),
        "difference": max(float(np.abs(one[name] - two[name]).max()) for name in start),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
