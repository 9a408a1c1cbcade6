"""A lesion classifier of five layers whose score is lost in int8, by one layer and by design."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.data.lesions import LesionRecord

LAYERS = ("stem", "depthwise", "gap", "hidden", "p_malignant")
GREENS = {False: (60, 70, 80, 90, 100), True: (150, 160, 170, 180, 190)}
"""Green levels of benign and malignant pictures; red says nothing."""


def round_to_int8(kernel: Any, axis: int) -> Any:
    """The nearest values of a symmetric int8 grid with one step an output channel."""
    axes = tuple(other for other in range(kernel.ndim) if other != axis)
    largest = np.abs(kernel).max(axis=axes, keepdims=True).astype(np.float64)
    step = np.where(largest > 0, largest / 127, 1.0)
    return np.asarray(np.round(kernel / step) * step, np.float32)


def round_to_nearest(layer: Any, inputs: Any) -> Any:
    """The layer's kernel rounded weight by weight, whatever its inputs are."""
    from edge_melanoma.converters.networks.rewriting import output_axis

    return round_to_int8(layer.get_weights()[0], output_axis(layer))


def make_small_network() -> Any:
    """Mean red, red again and green; 100 red - 100 red + 0.3 green; a sigmoid of that.

    One int8 step of the kernel that holds 100 and 0.3 is 100/127, so that green is rounded away:
    the score is then sigmoid(-9) for every picture, where it should be sigmoid(18 green - 9).
    """
    from edge_melanoma.machine.tensorflow import tf_keras

    layers = tf_keras.layers
    image = tf_keras.Input((224, 224, 3), name="image")
    value = layers.Conv2D(3, 1, strides=32, use_bias=False, name="stem")(image)
    value = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_BN")(value))
    value = layers.DepthwiseConv2D(1, use_bias=False, name="depthwise")(value)
    value = layers.BatchNormalization(name="depthwise_BN")(value)
    value = layers.GlobalAveragePooling2D(name="gap")(value)
    value = layers.Dense(1, activation="relu", name="hidden")(value)
    score = layers.Dense(1, activation="sigmoid", name="p_malignant")(value)
    network = tf_keras.Model(image, score, name="edge_melanoma")
    stem = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], np.float32).reshape(1, 1, 3, 3)
    network.get_layer("stem").set_weights([stem])
    network.get_layer("depthwise").set_weights([np.ones((1, 1, 3, 1), np.float32)])
    kernel = np.array([[100], [-100], [0.3]], np.float32)
    network.get_layer("hidden").set_weights([kernel, np.zeros(1, np.float32)])
    head = [np.array([[60]], np.float32), np.array([-9], np.float32)]
    network.get_layer("p_malignant").set_weights(head)
    return network


def make_sound_network() -> Any:
    """The same function with green as large as red, so that int8 can hold it."""
    network = make_small_network()
    kernel, bias = network.get_layer("hidden").get_weights()
    kernel[2] = 100
    network.get_layer("hidden").set_weights([kernel, bias])
    score, bias = network.get_layer("p_malignant").get_weights()
    network.get_layer("p_malignant").set_weights([score * 0.3 / 100, bias])
    return network


def make_pictures() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Ten pictures of one colour (n, 224, 224, 3), and which of them are malignant."""
    pairs = [(green, malignant) for malignant, greens in GREENS.items() for green in greens]
    colours = np.array([(37 * number % 256, green, 0) for number, (green, _) in enumerate(pairs)])
    pictures = np.broadcast_to(colours[:, None, None], (len(pairs), 224, 224, 3))
    return pictures.astype(np.uint8), np.array([malignant for _, malignant in pairs])


def make_calibration(folder: Path) -> CalibrationSet:
    """The same pictures as files of a training side."""
    records = []
    for number, (picture, malignant) in enumerate(zip(*make_pictures(), strict=True)):
        path = folder / f"{number}.png"
        Image.fromarray(picture[:8, :8]).save(path)
        records.append(LesionRecord(image_id=path.name, path=path, is_malignant=bool(malignant)))
    hashes = {record.image_id: "" for record in records}
    return CalibrationSet(
        records=tuple(records),
        pixels=make_pictures()[0],
        seed=0,
        training_hashes=hashes,
    )
