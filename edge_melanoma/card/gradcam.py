"""Which parts of a picture spoke for the decision: Grad-CAM (Selvaraju and others, ICCV 2017)."""

from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.images import scale_pixels
from edge_melanoma.machine.tensorflow import tf, tf_keras
from edge_melanoma.network.network import GAP_LAYER
from edge_melanoma.tflite.quantization import SCORE_NAME

PICTURES_AT_ONCE = 16


class Decision(Enum):
    """What a heat map is to explain; the value is the sign of the log-odds that spoke for it."""

    MALIGNANT = 1.0
    BENIGN = -1.0


def heat_maps(
    network: Any, pictures: NDArray[np.uint8], *, decision: Decision
) -> NDArray[np.float32]:
    """Heat 0..1 (n, height, width) for RGB pictures of the network's size; 1 spoke most.

    All zero where no part spoke for the decision. The gradient is that of the log-odds: that of the
    score vanishes where the score is near 0 or 1, which is where the worst errors are.
    """
    features = network.get_layer(GAP_LAYER).input
    head = network.get_layer(SCORE_NAME)
    seeing = tf_keras.Model(network.input, features, name="seeing")
    judging = tf_keras.Model(features, head.input, name="judging")
    size = (pictures.shape[2], pictures.shape[1])
    heats = []
    for start in range(0, len(pictures), PICTURES_AT_ONCE):
        seen = seeing(scale_pixels(pictures[start : start + PICTURES_AT_ONCE]), training=False)
        with tf.GradientTape() as tape:
            tape.watch(seen)
            log_odds = tf.matmul(judging(seen, training=False), head.kernel) + head.bias
        weights = tf.reduce_mean(tape.gradient(log_odds, seen), axis=(1, 2), keepdims=True)
        spoke = decision.value * tf.reduce_sum(weights * seen, axis=-1)
        heats += [_enlarge(heat, size) for heat in tf.nn.relu(spoke).numpy()]
    return np.stack(heats)


def _enlarge(heat: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    peak = float(heat.max())
    scaled = heat / peak if peak > 0 else heat
    smooth = Image.fromarray(scaled).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(smooth, dtype=np.float32)
