"""The one architecture: MobileNetV2, whole or its first layers, and a small head, in tf_keras.

Flat because quantization-aware training refuses nested models, without a Rescaling layer because
that costs int8 accuracy: pixels are scaled to 0..1 before they enter.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.tensorflow import tf, tf_keras
from edge_melanoma.network.recipes import (
    NAMED_DIAGNOSES,
    VARIANTS,
    Shape,
    Variant,
    VariantSpec,
)
from edge_melanoma.network.weight_files import read_weights_file
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.tflite.quantization import SCORE_NAME

GAP_LAYER, HIDDEN_LAYER, DROPOUT_LAYER = "gap", "hidden", "dropout"
FIRST_LAYER, DIAGNOSIS_LAYER = "Conv1", "diagnosis"
CLASSES_LAYER, SUMS_LAYER = "classes", "class_sums"
FLIPS = ([1], [2], [1, 2])
VIEWS = 8
"""Of a square: as it is and flipped along its axes, and all that turned."""

WeightArrays = Mapping[str, NDArray[np.float32]]


def build_network(
    spec: VariantSpec,
    *,
    seed: int = 0,
    image_size: int | None = None,
    names_diagnoses: bool = False,
) -> Any:
    """An untrained network: input (batch, 224, 224, 3) in 0..1, output P(malignant) (batch, 1).

    The weights have the same shapes for any `image_size`, which is that of the recipe's shape
    where none is given. One that names diagnoses gives logits of `NAMED_DIAGNOSES` behind
    P(malignant), (batch, 7).
    """
    shape = spec.shape
    side = image_size or shape.image_size
    tf_keras.backend.experimental.enable_tf_random_generator()
    tf_keras.utils.set_random_seed(seed)
    layers = tf_keras.layers
    image = tf_keras.Input((side, side, 3), name="image")
    backbone = tf_keras.applications.MobileNetV2(
        input_tensor=image, include_top=False, weights=None, alpha=shape.alpha
    )
    if shape.border:
        backbone = tf_keras.models.clone_model(
            backbone, image, clone_function=partial(_with_border, shape.border)
        )
    last = backbone.get_layer(spec.last_layer).output
    hidden = features = layers.GlobalAveragePooling2D(name=GAP_LAYER)(last)
    if spec.dense_units:
        hidden = layers.Dense(spec.dense_units, activation="relu", name=HIDDEN_LAYER)(hidden)
    hidden = layers.Dropout(spec.dropout, name=DROPOUT_LAYER)(hidden)
    if shape.classes:
        logits = layers.Dense(shape.classes, name=CLASSES_LAYER)(hidden)
        hidden = ClassSums(shape.malignant_classes, name=SUMS_LAYER)(logits)
    score = layers.Dense(1, activation="sigmoid", name=SCORE_NAME)(hidden)
    output = score
    if names_diagnoses:
        logits = layers.Dense(len(NAMED_DIAGNOSES), name=DIAGNOSIS_LAYER)(features)
        output = layers.Concatenate(name="score_and_diagnosis")([score, logits])
    network = tf_keras.Model(image, output, name="edge_melanoma")
    for norm in _batch_norms(network):
        norm.momentum = spec.batch_norm_momentum
    return network


class BorderedConv2D(tf_keras.layers.Conv2D):  # type: ignore[misc] # it has no types
    """A convolution that sees `border` around a picture, where padding "same" has zeros."""

    def __init__(self, *arguments: Any, border: float, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.border = border

    def call(self, inputs: Any) -> Any:
        sides = zip(inputs.shape[1:3], self.kernel_size, self.strides, strict=True)
        missing = [max(0, kernel - (side % step or step)) for side, kernel, step in sides]
        around = [[0, 0], *([lost // 2, lost - lost // 2] for lost in missing), [0, 0]]
        return super().call(tf.pad(inputs, around, constant_values=self.border))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "border": self.border}


class ClassSums(tf_keras.layers.Layer):  # type: ignore[misc] # it has no types
    """From logits (batch, classes) to (batch, 2), whose difference is the logit of P(malignant).

    They are log(sum(exp)) over the first `malignant` classes and over the others. With the largest
    taken out first, every step is one that int8 holds well.
    """

    def __init__(self, malignant: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.malignant = malignant

    def call(self, inputs: Any) -> Any:
        sums = []
        for logits in (inputs[:, : self.malignant], inputs[:, self.malignant :]):
            largest = tf.reduce_max(logits, axis=1, keepdims=True)
            total = tf.reduce_sum(tf.exp(logits - largest), axis=1, keepdims=True)
            sums.append(largest + tf.math.log(total))
        return tf.concat(sums, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "malignant": self.malignant}


def _with_border(border: float, layer: Any) -> Any:
    config = layer.get_config()
    if layer.name != FIRST_LAYER:
        return type(layer).from_config(config)
    return BorderedConv2D.from_config(config | {"padding": "valid", "border": border})


def without_diagnoses(network: Any) -> Any:
    """The part of a network that gives P(malignant) alone, sharing its layers."""
    score = network.get_layer(SCORE_NAME).output
    return network if network.output is score else tf_keras.Model(network.input, score)


def load_network(run: TrainedModel) -> Any:
    """The trained network of a run: architecture from its variant, weights from its safetensors.

    Raises:
        EdgeMelanomaError: the weights do not fit the variant.
    """
    network = build_network(spec_of(run))
    assign_arrays(network, read_safetensors(run), source=run.weights_path)
    return network


def spec_of(run: TrainedModel) -> VariantSpec:
    """The recipe of a run: one of `VARIANTS`, or what the manifest says of an imported one.

    Raises:
        EdgeMelanomaError: the manifest does not say it.
    """
    if run.variant != Variant.IMPORTED:
        return VARIANTS[Variant(run.variant)]
    try:
        told = run.manifest["recipe"]
        kept = {name: told[name] for name in ("dense_units", "dropout", "last_layer")}
        shape = Shape(**told["shape"])
        return VariantSpec(variant=Variant.IMPORTED, stages=(), shape=shape, **kept)
    except (KeyError, TypeError) as error:
        raise EdgeMelanomaError(
            f"The manifest of {run.folder} does not say which network it has; import it again."
        ) from error


def read_safetensors(run: TrainedModel) -> WeightArrays:
    """The arrays of a run, as float32 whatever they are stored as."""
    return read_weights_file(run.weights_path).arrays


def count_backbone_layers(network: Any) -> int:
    """Layers up to the pooling, the input layer included: 154 of a whole MobileNetV2."""
    return [layer.name for layer in network.layers].index(GAP_LAYER)


def freeze_backbone(network: Any, *, unfrozen_layers: int) -> None:
    """Let the head and the last `unfrozen_layers` of the backbone train, nothing else.

    tf_keras runs a frozen batch-norm layer on its stored statistics.
    """
    first_unfrozen = count_backbone_layers(network) - unfrozen_layers
    for index, layer in enumerate(network.layers):
        layer.trainable = index >= first_unfrozen


def cut_layer(network: Any, *, unfrozen_layers: int) -> str | None:
    """The last layer whose output no training step of such a stage can change, if there is one."""
    if unfrozen_layers == 0:
        return GAP_LAYER
    frozen_layers = count_backbone_layers(network) - unfrozen_layers
    return str(network.layers[frozen_layers - 1].name) if frozen_layers else None


def reset_dropout(network: Any, *, seeds: Sequence[int]) -> None:
    """Begin the dropout masks anew from `seeds`, so that an epoch can be repeated exactly."""
    state = np.random.SeedSequence(seeds).generate_state(1)[0]
    for layer in network.layers:
        if isinstance(layer, tf_keras.layers.Dropout):
            generator = layer._random_generator._generator
            generator.reset_from_seed(int(state))


def prefix_of(network: Any, *, cut: str) -> Any:
    """The part from the picture up to the output of `cut`, sharing its layers."""
    return tf_keras.Model(network.input, network.get_layer(cut).output, name="prefix")


def suffix_of(network: Any, *, cut: str) -> Any:
    """The part from the output of `cut` to the score, sharing its layers."""
    return tf_keras.Model(network.get_layer(cut).output, network.output, name="suffix")


def compile_forward(
    model: Any, *, views: int = 1
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Inference of `model` as one compiled graph for any batch size: arrays in, arrays out.

    Several outputs (n, ...) are joined along their last axis.
    """
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), model.input.dtype)]
    graph = tf.function(
        lambda inputs: tf.concat(infer(model, inputs, views=views), axis=-1),
        input_signature=signature,
    )

    def forward(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs: NDArray[np.float32] = graph(tf.constant(inputs)).numpy()
        return outputs

    return forward


def infer(model: Any, images: Any, *, views: int) -> list[Any]:
    """The outputs of `model`, each (n, ...), for images (n, side, side, 3), as TensorFlow's nodes.

    With 8 `views` the first output is the mean over all flips and quarter turns of an image; others
    are those of the image as it is. The mean of scores, and not of log odds: in int8 it has finer
    steps than one view has. All operators are such that a .tflite file has them in int8 too.
    """
    if views == 1:
        return list(tf.nest.flatten(model(images, training=False)))
    turned = [images, tf.transpose(images, [0, 2, 1, 3])]
    seen = [one for image in turned for one in (image, *(tf.reverse(image, a) for a in FLIPS))]
    score, *others = tf.nest.flatten(model(tf.concat(seen, axis=0), training=False))
    # A mean that keeps the scale of what it takes; MEAN would round to one of its own.
    mean = tf.nn.avg_pool2d(tf.reshape(score, [1, VIEWS, -1, 1]), [VIEWS, 1], 1, "VALID")
    count = tf.shape(images)[0] if images.shape[0] is None else images.shape[0]
    return [tf.reshape(mean, [-1, 1]), *(other[:count] for other in others)]


def arrays_of(network: Any) -> dict[str, NDArray[np.float32]]:
    """Every weight under `layer/weight`, in the network's order."""
    return {_array_name(weight): weight.numpy() for weight in network.weights}


def assign_arrays(network: Any, arrays: WeightArrays, *, source: Path | None) -> None:
    """Put `arrays` into the network, all or nothing.

    Raises:
        EdgeMelanomaError: a weight is missing, left over, or of another shape.
    """
    expected = {_array_name(weight): tuple(weight.shape) for weight in network.weights}
    found = {name: tuple(array.shape) for name, array in arrays.items()}
    if expected != found:
        odd = sorted(set(expected.items()) ^ set(found.items()))[0][0]
        raise EdgeMelanomaError(
            f"The weights file {source} does not fit MobileNetV2 alpha 1.0: '{odd}' has the shape "
            f"{found.get(odd, 'missing')}, expected {expected.get(odd, 'none')}."
        )
    network.set_weights([arrays[_array_name(weight)] for weight in network.weights])


def _array_name(weight: Any) -> str:
    return str(weight.name).removesuffix(":0")


def calibrate_batch_norm(network: Any, inputs: NDArray[np.float32]) -> None:
    """Set every batch-norm layer's statistics from one batch (n, 224, 224, 3).

    A random backbone would otherwise pass on signals of no use: the moving statistics start at
    mean 0 and variance 1, whatever the random kernels give.
    """
    norms = _batch_norms(network)
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.trainable, layer.momentum = True, 0.0
    network(tf.constant(inputs), training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def round_to_half(network: Any) -> None:
    """Give every weight the nearest value that float16 has."""
    network.set_weights(
        [weight.astype(np.float16).astype(np.float32) for weight in network.get_weights()]
    )


def _batch_norms(model: Any) -> list[Any]:
    kind = tf_keras.layers.BatchNormalization
    return [layer for layer in model.layers if isinstance(layer, kind)]
