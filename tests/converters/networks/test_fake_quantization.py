"""A network that rounds as its int8 file does, and still learns."""

from typing import Any

import numpy as np
import pytest
from small_network import make_calibration, make_pictures, make_sound_network

from edge_melanoma.converters.audit import audit_model
from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.packing import slim_model
from edge_melanoma.data.images import scale_pixels
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.modes import InputOutput, Mode, Output


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> CalibrationSet:
    return make_calibration(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def folded() -> Any:
    from edge_melanoma.converters.networks.rewriting import fold_batch_norm

    return fold_batch_norm(make_sound_network())


@pytest.fixture(scope="module")
def ranges(folded: Any, calibration: CalibrationSet) -> Any:
    from edge_melanoma.converters.networks.bias_correction import measure_ranges

    return measure_ranges(folded, calibration.batches())


def tuned(network: Any) -> Any:
    from edge_melanoma.converters.quantization_aware import TunedNetwork

    return TunedNetwork(network=network, history=(), best_epoch=0, cut="stem_relu")


def file_scores(data: bytes) -> list[float]:
    session = TFLiteSession(SessionSettings(data=data, name="small", runtime=Runtime.LITERT))
    return [session.score(picture) for picture in make_pictures()[0]]


@pytest.mark.parametrize("output", Output)
def test_the_file_gives_the_scores_of_the_network_that_was_trained(
    folded: Any, ranges: Any, output: Output
) -> None:
    from edge_melanoma.converters.quantization_aware import (
        convert_quantised,
        float_layers_of,
        make_quantised,
    )

    network = make_quantised(folded, ranges, output=output)
    expected = network(scale_pixels(make_pictures()[0]), training=False).numpy()[:, 0]
    data = convert_quantised(network, io=InputOutput.INT8, output=output, views=1)
    # A logit may fall on the other side of a step of 1/16, which is 1/64 of a score at most.
    np.testing.assert_allclose(file_scores(data), expected, rtol=0, atol=1 / 64 + 1 / 256)
    assert len(set(expected.tolist())) > 5
    slim = slim_model(data)
    audit_model(
        inspect_model(slim),
        mode=Mode.INT8_QAT,
        io=InputOutput.INT8,
        output=output,
        float_layers=float_layers_of(output),
        data=slim,
    )


def test_a_dead_channel_keeps_a_range_that_its_bias_fits_into() -> None:
    from edge_melanoma.converters.networks.fake_quantization import SMALLEST_LIMIT, fake_quantize
    from edge_melanoma.machine.tensorflow import tf_keras

    layers = tf_keras.layers
    image = tf_keras.Input((8, 8, 3), name="image")
    network = tf_keras.Model(image, layers.Conv2D(2, 1, name="conv")(image))
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[..., 0], kernel[..., 1] = 0.5, 1e-9
    network.get_layer("conv").set_weights([kernel, np.array([0, 2.5], np.float32)])
    wrapper = fake_quantize(network, {}).get_layer("conv")
    highest = next(w for w in wrapper.weights if w.name.startswith("conv/kernel_max"))
    np.testing.assert_allclose(highest.numpy(), [0.5, SMALLEST_LIMIT])


def test_kernels_are_rounded_a_channel_at_a_time_and_gradients_pass() -> None:
    from edge_melanoma.converters.networks.fake_quantization import fake_quantize
    from edge_melanoma.machine.tensorflow import tf, tf_keras

    image = tf_keras.Input((4, 4, 2), name="image")
    depthwise = tf_keras.layers.DepthwiseConv2D(1, name="depthwise")
    network = tf_keras.Model(image, depthwise(image))
    kernel = np.array([127.0, 1.27], np.float32).reshape(1, 1, 2, 1)
    depthwise.set_weights([kernel, np.zeros(2, np.float32)])
    quantised = fake_quantize(network, {})
    inputs = tf.ones((1, 4, 4, 2))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(quantised(inputs, training=True))
    np.testing.assert_allclose(float(total), 16 * (127 + 1.27), rtol=1e-6)
    gradients = tape.gradient(total, quantised.trainable_variables)
    assert all(float(tf.reduce_sum(tf.abs(gradient))) > 0 for gradient in gradients)


def test_ranges_follow_a_kernel_that_was_changed_after_the_last_step() -> None:
    from edge_melanoma.converters.networks.fake_quantization import (
        fake_quantize,
        settle_kernel_ranges,
    )
    from edge_melanoma.machine.tensorflow import tf, tf_keras

    image = tf_keras.Input((2,), name="image")
    network = tf_keras.Model(image, tf_keras.layers.Dense(1, name="dense")(image))
    network.get_layer("dense").set_weights([np.ones((2, 1), np.float32), np.zeros(1, np.float32)])
    quantised = fake_quantize(network, {})
    kernel = next(v for v in quantised.trainable_variables if "kernel" in v.name)
    kernel.assign(4 * tf.ones((2, 1)))
    clipped = quantised(tf.ones((1, 2)), training=False).numpy().tolist()
    settle_kernel_ranges(quantised)
    settled = quantised(tf.ones((1, 2)), training=False).numpy().tolist()
    assert (clipped, settled) == ([[2.0]], [[8.0]])
