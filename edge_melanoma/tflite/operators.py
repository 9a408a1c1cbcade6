"""What a classifier of pictures is made of, and whether its weights fit what they are applied to.

No loops, no variables, no code of others' making.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError

WITH_OPTIONS_OF_THEIR_NAME = """
    ADD CAST CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE DIV EXP EXPAND_DIMS FULLY_CONNECTED
    GELU GREATER HARD_SWISH LEAKY_RELU MUL PACK PAD QUANTIZE RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR REVERSE_V2 SHAPE SLICE SOFTMAX SQUARED_DIFFERENCE SQUEEZE
    STRIDED_SLICE SUB TRANSPOSE
"""
WITH_OTHER_OPTIONS = {
    "NONE": "LOGISTIC PRELU RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RSQRT SQRT TANH",
    "BatchMatMulOptions": "BATCH_MATMUL",
    "MaximumMinimumOptions": "MAXIMUM MINIMUM",
    "PadV2Options": "PADV2",
    "Pool2DOptions": "AVERAGE_POOL_2D MAX_POOL_2D",
    "ReducerOptions": "MEAN REDUCE_MAX SUM",
}
OPTIONS_OF_OPERATOR = {
    name: f"{name.title().replace('_', '')}Options" for name in WITH_OPTIONS_OF_THEIR_NAME.split()
} | {name: options for options, names in WITH_OTHER_OPTIONS.items() for name in names.split()}
"""The schema's table of options of each, as FullyConnectedOptions of FULLY_CONNECTED."""

SAME = 0
LARGEST_STEP = 32
Shape = list[int]


@cache
def names_of(enumeration: str) -> dict[int, str]:
    """The names in an enumeration of the schema, such as TensorType, by their numbers."""
    from ai_edge_litert import schema_py_generated as schema

    members = vars(getattr(schema, enumeration))
    return {value: name for name, value in members.items() if isinstance(value, int)}


class BrokenModelError(EdgeMelanomaError):
    """What is wrong with a file, as the end of a sentence about it."""


def check_shapes(
    operator: str, options: Any, inputs: Sequence[Shape | None], outputs: Sequence[Shape]
) -> None:
    """Of the operators with weights; the others keep shapes, or compute them.

    `options` is the schema's object of them, or none; an input that is left out has no shape.

    Raises:
        BrokenModelError: what does not fit.
    """
    if operator not in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
        return
    if len(inputs) not in {2, 3} or None in inputs[:2] or len(outputs) != 1:
        raise BrokenModelError(f"has a {operator} with {len(inputs)} inputs")
    image, kernel, given = inputs[0] or [], inputs[1] or [], outputs[0]
    if operator == "FULLY_CONNECTED":
        channels = kernel[0] if len(kernel) == 2 else 0
        fits = bool(channels and image and given) and image[-1] == kernel[1]
        fits = fits and given[-1] == channels
    else:
        channels = _channels(operator, image, kernel, options)
        fits = channels > 0 and given == [image[0], *_sides(image, kernel, options), channels]
    if len(inputs) == 3 and inputs[2] is not None:
        fits = fits and inputs[2] == [channels]
    if not fits:
        raise BrokenModelError(
            f"has a {operator} whose shapes do not fit: {image} by {kernel} to {given}"
        )


def _channels(operator: str, image: Shape, kernel: Shape, options: Any) -> int:
    """How many the convolution gives, or 0 where kernel and picture do not go together."""
    if len(image) != 4 or len(kernel) != 4 or options is None:
        return 0
    if operator == "CONV_2D":
        return kernel[0] if image[3] % kernel[3] == 0 else 0
    wanted = image[3] * options.depthMultiplier
    return kernel[3] if kernel[0] == 1 and kernel[3] == wanted else 0


def _sides(image: Shape, kernel: Shape, options: Any) -> Shape:
    """Height and width of what a window gives."""
    sides = []
    for axis, step, spread in (
        (1, options.strideH, options.dilationHFactor),
        (2, options.strideW, options.dilationWFactor),
    ):
        if not (1 <= step <= LARGEST_STEP and 1 <= spread <= LARGEST_STEP):
            raise BrokenModelError(f"has a window with steps of {step} and gaps of {spread}")
        covered = 1 if options.padding == SAME else spread * (kernel[axis] - 1) + 1
        sides.append((image[axis] - covered) // step + 1)
    return sides
