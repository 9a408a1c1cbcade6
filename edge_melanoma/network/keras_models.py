"""A MobileNetV2 classifier that was trained in Keras elsewhere becomes a recipe and its weights.

Its layers are held one by one against the one architecture. What comes before the backbone (a
rescaling) and after it (a head of several classes) is brought into the form that a run has: pixels
in 0..1 in, P(malignant) out. No score changes by that.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.network.keras_layers import (
    INPUT,
    FileLayer,
    MisfitError,
    read_layers,
    refuse_misfit,
    scaling_of,
    without_idle,
)
from edge_melanoma.network.network import (
    CLASSES_LAYER,
    FIRST_LAYER,
    GAP_LAYER,
    HIDDEN_LAYER,
    arrays_of,
    build_network,
)
from edge_melanoma.network.recipes import Shape, Variant, VariantSpec
from edge_melanoma.network.weight_files import NAMES_BY_KIND, Arrays, read_weights_file
from edge_melanoma.tflite.ends import RANGES, Ends
from edge_melanoma.tflite.quantization import SCORE_NAME

SIZES = range(96, 321)
ALPHAS = (1.0, 0.35, 0.5, 0.75, 1.3, 1.4, *(percent / 100 for percent in range(40, 140, 5)))
POOLING, LOGIT = "GlobalAveragePooling2D", "linear"
HEAD = "pooling, at most one Dense with relu, and a Dense of 1 with sigmoid or of more with softmax"
NUMBERS = (
    "give --malignant-index N[,N]; classes that were read from folders are numbered from 0 in the "
    "alphabetical order of the folders' names"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedModel:
    """A recipe that builds the network of a file, its weights, and how the file was read."""

    spec: VariantSpec
    arrays: Arrays
    read_as: Mapping[str, Any]


def read_keras_model(path: Path, ends: Ends, *, image_size: int | None = None) -> ImportedModel:
    """The classifier in a .h5, .keras or .weights.h5 file, of which nothing is run.

    `ends` and `image_size` are what a person says of a file that does not tell it.

    Raises:
        EdgeMelanomaError: the first layer that does not fit, or what the file does not tell.
    """
    file = read_weights_file(path)
    try:
        layers = read_layers(file.config) if file.config else ()
        size = _size_of(layers, image_size)
        return _import(layers, file.arrays, ends, size)
    except MisfitError as error:
        raise EdgeMelanomaError(f"{path} cannot be imported: {error}.") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise EdgeMelanomaError(
            f"{path} cannot be imported: its configuration is not as Keras writes it."
        ) from error


def _import(layers: Sequence[FileLayer], arrays: Arrays, ends: Ends, size: int) -> ImportedModel:
    rest = without_idle(layers)[1:]
    scalings = [step for step in takewhile(bool, map(scaling_of, rest)) if step]
    first = 1 + len(scalings)
    rest = rest[len(scalings) :]
    spec, names, found = _match_backbone(rest, arrays, size=size, first=first)
    after = first + len(names)
    head = _read_head(rest[len(names) :], first=after) if rest else _guess_head(arrays, names)
    input_range, scale, shift = _read_range(scalings, ends)
    _fold_input(found, scale=scale, shift=shift)
    *hidden, last = (_dense_of(arrays, name) for name in head)
    malignant, others = _choose_classes(last[0].shape[1], ends)
    for kernel, bias in hidden:
        found |= {f"{HIDDEN_LAYER}/kernel": kernel, f"{HIDDEN_LAYER}/bias": bias}
    found |= _fold_classes(*last, malignant=malignant, others=others)
    several = len(malignant) + len(others) if f"{CLASSES_LAYER}/bias" in found else 0
    shape = replace(
        spec.shape,
        border=0.0 - shift / scale,
        classes=several,
        malignant_classes=len(malignant) if several else 0,
    )
    return ImportedModel(
        spec=replace(spec, dense_units=len(hidden[0][1]) if hidden else 0, shape=shape),
        arrays=found,
        read_as={
            "input_range": input_range,
            "image_size": size,
            "outputs": last[0].shape[1],
            "malignant_index": list(malignant),
        },
    )


def _size_of(layers: Sequence[FileLayer], said: int | None) -> int:
    """The side of the square pictures, as the file says it, else the person."""
    shapes = [
        layer.settings.get("batch_shape") or layer.settings.get("batch_input_shape")
        for layer in layers
        if layer.kind == INPUT
    ]
    stated = next((shape[1:] for shape in shapes if shape and None not in shape[1:]), None)
    if stated is None:
        if said is None:
            raise MisfitError("it does not tell the size of its pictures: give --image-size N")
        stated = [said, said, 3]
    height, width, channels = stated
    if height != width or channels != 3 or height not in SIZES:
        raise MisfitError(
            f"it takes pictures of {width} x {height} with {channels} channels, expected squares "
            f"of {SIZES[0]} to {SIZES[-1]} pixels in RGB"
        )
    if said not in {None, height}:
        raise MisfitError(f"it takes {height} pixels, and --image-size says {said}")
    return int(height)


def _read_range(scalings: Sequence[tuple[float, float]], ends: Ends) -> tuple[str, float, float]:
    """What the file takes, and factor and summand from pixels in 0..1 to the backbone's."""
    scale, shift = 1.0, 0.0
    for factor, summand in scalings:
        scale, shift = scale * factor, shift * factor + summand
    low, high = ends.input_range or RANGES["0..255"]
    if ends.input_range is None:
        found = shift, 255 * scale + shift
        if not any(np.allclose(found, RANGES[one], atol=0.01) for one in ("0..1", "-1..1")):
            raise MisfitError(
                "it does not tell which numbers stood for black and white when it was trained: "
                f"give --input-range {', '.join(RANGES)}"
            )
    if not scale:
        raise MisfitError("it scales every pixel to one number")
    name = next(name for name, ends in RANGES.items() if ends == (low, high))
    return name, scale * (high - low), scale * low + shift


def _match_backbone(
    rest: Sequence[FileLayer], arrays: Arrays, *, size: int, first: int
) -> tuple[VariantSpec, dict[str, str], Arrays]:
    """The recipe up to the pooling, the file's name of each of its layers, and their arrays.

    `first` is the place of the first of the layers that are left. Without any, the names are ours.
    """
    shape = Shape(alpha=_alpha_of(rest, arrays), image_size=size)
    spec = VariantSpec(variant=Variant.IMPORTED, stages=(), dense_units=0, dropout=0.0, shape=shape)
    network = build_network(spec)
    expected = without_idle(read_layers(json.loads(network.to_json())))[1:]
    kinds = [layer.kind for layer in rest]
    length = [layer.name for layer in expected].index(GAP_LAYER)
    if POOLING in kinds:
        length = max(1, min(length, kinds.index(POOLING)))
    expected = expected[:length]
    if rest and len(rest) < length:
        raise MisfitError(f"it ends with {rest[-1]}, where {expected[len(rest)]} is expected")
    for found, wanted in zip(rest, expected, strict=False):
        refuse_misfit(found, wanted, shift=first - 1)
    files = rest or expected
    names = {wanted.name: one.name for one, wanted in zip(files, expected, strict=False)}
    backbone: Arrays = {}
    for name, array in arrays_of(network).items():
        layer, weight = name.split("/")
        if layer in names:
            backbone[name] = _array(arrays, f"{names[layer]}/{weight}", array.shape)
    return replace(spec, last_layer=expected[-1].name), names, backbone


def _alpha_of(rest: Sequence[FileLayer], arrays: Arrays) -> float:
    """The width whose convolutions have as many filters as the file's; 1 where none has."""
    found = [int(layer.settings["filters"]) for layer in rest if layer.kind == "Conv2D"]
    if not rest:
        kernels = [f"{name}/kernel" for name in NAMES_BY_KIND["conv2d"]]
        found = [arrays[name].shape[-1] for name in kernels if name in arrays]
    for alpha in ALPHAS:
        if found and all(a == b for a, b in zip(found, _filters(alpha), strict=False)):
            return alpha
    return ALPHAS[0]


def _filters(alpha: float) -> list[int]:
    """Of the convolutions of a MobileNetV2 but the last, in their order."""

    def divisible(filters: float) -> int:
        rounded = max(8, int(filters + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * filters else rounded

    found = [divisible(32 * alpha), divisible(int(16 * alpha))]
    for filters, blocks in ((24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1)):
        for _ in range(blocks):
            found += [6 * found[-1], divisible(int(filters * alpha))]
    return found


def _read_head(layers: Sequence[FileLayer], *, first: int) -> list[str]:
    """The names of the dense layers after the pooling, which is at the place `first`."""
    dense: list[FileLayer] = []
    activations: list[str] = []
    for place, layer in enumerate(layers, start=first):
        follows = layer.inputs == (place - 1,)
        if follows and place == first:
            follows = layer.kind == POOLING and not layer.settings.get("keepdims")
        elif layer.kind == "Dense":
            dense.append(layer)
            activations.append(layer.activation)
        elif follows and layer.kind in {"Activation", "Softmax"} and activations[-1:] == [LOGIT]:
            activations[-1] = layer.activation
        else:
            follows = False
        if not follows:
            raise MisfitError(f"its layer {layer} is of no head that is known: {HEAD}")
    ending = "sigmoid" if dense and dense[-1].settings["units"] == 1 else "softmax"
    if activations not in [[*hidden, end] for hidden in ([], ["relu"]) for end in (ending, LOGIT)]:
        told = ", ".join(
            f"{layer.name} with {a}" for layer, a in zip(dense, activations, strict=True)
        )
        raise MisfitError(f"its head has {told or 'no dense layer'}, expected {HEAD}")
    return [layer.name for layer in dense]


def _guess_head(arrays: Arrays, backbone: Collection[str]) -> list[str]:
    """The same of a file of weights alone: what one dense layer gives, the other takes."""
    others = sorted({name.rpartition("/")[0] for name in arrays} - set(backbone), key=_by_number)
    shapes = [_array(arrays, f"{name}/kernel").shape for name in others]
    if len(shapes) not in {1, 2} or any(len(shape) != 2 for shape in shapes):
        raise MisfitError(f"beside the backbone it has {', '.join(others) or 'no layer'}: {HEAD}")
    return others if len(others) == 1 or shapes[0][1] == shapes[1][0] else others[::-1]


def _by_number(name: str) -> tuple[str, int]:
    word, _, number = name.rpartition("_")
    return (word, int(number)) if number.isdigit() else (name, 0)


def _array(arrays: Arrays, name: str, shape: Sequence[int] | None = None) -> Any:
    found = arrays.get(name)
    if found is None:
        raise MisfitError(f"it holds no {name}")
    if shape is not None and found.shape != tuple(shape):
        raise MisfitError(f"its {name} has the shape {found.shape}, expected {tuple(shape)}")
    return found


def _dense_of(arrays: Arrays, name: str) -> tuple[Any, Any]:
    """Kernel and bias, of zeros where the layer has none."""
    kernel = _array(arrays, f"{name}/kernel")
    return kernel, arrays.get(f"{name}/bias", np.zeros(kernel.shape[-1], np.float32))


def _fold_input(backbone: Arrays, *, scale: float, shift: float) -> None:
    """Let the first convolution take pixels in 0..1, where it took `scale` times these + `shift`.

    What it saw around the picture, zero, is the recipe's border.
    """
    kernel, mean = f"{FIRST_LAYER}/kernel", f"bn_{FIRST_LAYER}/moving_mean"
    weights = backbone[kernel].astype(np.float64)
    backbone[mean] = (backbone[mean] - shift * weights.sum(axis=(0, 1, 2))).astype(np.float32)
    backbone[kernel] = (scale * weights).astype(np.float32)


def _choose_classes(outputs: int, ends: Ends) -> tuple[list[int], list[int]]:
    """The numbers of the malignant classes and of the others; a single output is of class 1."""
    classes = range(max(2, outputs))
    words = ends.malignant or (() if outputs > 1 else ("1",))
    malignant = sorted({int(word) if word.isdecimal() else -1 for word in words})
    if not malignant:
        raise MisfitError(
            f"it does not tell which of its {outputs} outputs are malignant: {NUMBERS}"
        )
    if not set(malignant) < set(classes):
        raise MisfitError(f"--malignant-index is to name some of 0 to {classes[-1]}: {NUMBERS}")
    return malignant, [number for number in classes if number not in malignant]


def _fold_classes(kernel: Any, bias: Any, malignant: list[int], others: list[int]) -> Arrays:
    """The weights of the last layers, which give P(malignant).

    Of two classes, softmax is the sigmoid of their difference. Of several, malignant ones come
    first, and the last layer takes the two sums of `ClassSums`.
    """
    layers = {SCORE_NAME: (kernel, bias)}
    if len(bias) == 1 and malignant == [0]:
        layers = {SCORE_NAME: (-kernel, -bias)}
    elif len(bias) == 2:
        (one,), (other,) = malignant, others
        difference = kernel[:, [one]] - kernel[:, [other]], bias[[one]] - bias[[other]]
        layers = {SCORE_NAME: difference}
    elif len(bias) > 2:
        order, sums = [*malignant, *others], np.array([[1], [-1]], np.float32)
        layers = {CLASSES_LAYER: (kernel[:, order], bias[order])}
        layers[SCORE_NAME] = sums, np.zeros(1, np.float32)
    weights = ("kernel", "bias")
    return {
        f"{layer}/{weight}": array
        for layer, pair in layers.items()
        for weight, array in zip(weights, pair, strict=True)
    }
