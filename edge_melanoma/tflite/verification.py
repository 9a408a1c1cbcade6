"""Holds a .tflite file against what a lesion classifier can be, before any interpreter sees it.

Structure, operators, tensors and constants are checked on the bytes alone. What passes may still
be a poor model; it is none that leads an interpreter out of its file or into much memory.

Whether convolutions and dense layers fit the tensors that they take and give.
"""

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.flatbuffer import (
    BrokenFlatbufferError,
    Content,
    read_flatbuffer,
    read_table,
)
from edge_melanoma.tflite.layouts import LAYOUTS, OPTION_LAYOUTS, OPTIONS_OF_OPERATOR

SAME = 0
LARGEST_STEP = 32
Shape = list[int]


def refuse_wrong_shapes(
    operator: str, options: Content, inputs: list[int], outputs: list[int], tensors: list[Content]
) -> None:
    """Of the operators with weights; the others keep shapes, or compute them.

    Raises:
        BrokenFlatbufferError: what does not fit.
    """
    if operator not in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
        return
    if len(inputs) not in {2, 3} or -1 in inputs[:2] or len(outputs) != 1:
        raise BrokenFlatbufferError(f"has a {operator} with {len(inputs)} inputs")
    image, kernel = (tensors[index]["shape"] for index in inputs[:2])
    given = tensors[outputs[0]]["shape"]
    if operator == "FULLY_CONNECTED":
        fits = len(kernel) == 2 and bool(image and given)
        fits = fits and image[-1] == kernel[1] and given[-1] == kernel[0]
        channels = kernel[0] if kernel else 0
    else:
        channels = _channels(operator, image, kernel, options)
        fits = channels > 0 and given == [image[0], *_sides(image, kernel, options), channels]
    if len(inputs) == 3 and inputs[2] != -1:
        fits = fits and tensors[inputs[2]]["shape"] == [channels]
    if not fits:
        raise BrokenFlatbufferError(
            f"has a {operator} whose shapes do not fit: {image} by {kernel} to {given}"
        )


def _channels(operator: str, image: Shape, kernel: Shape, options: Content) -> int:
    """How many the convolution gives, or 0 where kernel and picture do not go together."""
    if len(image) != 4 or len(kernel) != 4:
        return 0
    if operator == "CONV_2D":
        return kernel[0] if image[3] % kernel[3] == 0 else 0
    wanted = image[3] * options.get("depth_multiplier", 0)
    return kernel[3] if kernel[0] == 1 and kernel[3] == wanted else 0


def _sides(image: Shape, kernel: Shape, options: Content) -> list[int]:
    """Height and width of what a window gives."""
    sides = []
    for axis, letter in ((1, "h"), (2, "w")):
        step = options.get(f"stride_{letter}", 0)
        spread = options.get(f"dilation_{letter}_factor", 1)
        if not (1 <= step <= LARGEST_STEP and 1 <= spread <= LARGEST_STEP):
            raise BrokenFlatbufferError(f"has a window with steps of {step} and gaps of {spread}")
        covered = 1 if options.get("padding", SAME) == SAME else spread * (kernel[axis] - 1) + 1
        sides.append((image[axis] - covered) // step + 1)
    return sides


SCHEMA_VERSION = 3
LARGEST_TENSOR_BYTES = 64 * 2**20
LARGEST_GRAPH_BYTES = 512 * 2**20
"""Of all tensors together. MobileNetV2 in float32 has 46 MB, a hundred times less alive at once."""

LARGEST_RANK = 6
BYTES_OF_TYPE = {
    "FLOAT32": 4,
    "FLOAT16": 2,
    "INT32": 4,
    "UINT8": 1,
    "INT64": 8,
    "BOOL": 1,
    "INT16": 2,
    "INT8": 1,
}
ZERO_POINTS = {"INT8": (-128, 127), "UINT8": (0, 255)}
"""Other integers are symmetric."""


def verify_model(data: bytes, *, name: str) -> None:
    """Refuse a file that is broken, or that is no network as lesion classifiers are.

    Raises:
        EdgeMelanomaError: the first thing that is wrong.
    """
    try:
        _verify(data)
    except BrokenFlatbufferError as error:
        raise EdgeMelanomaError(
            f"{name} is not a .tflite file of a lesion classifier: it {error}; "
            f"export it again, or fetch it again."
        ) from error


def read_model(data: bytes) -> Content:
    """The tables of the file, checked for structure alone.

    Raises:
        BrokenFlatbufferError: what is wrong, as the end of a sentence.
    """
    return read_flatbuffer(data, LAYOUTS, root="Model")


def _verify(data: bytes) -> None:
    model = read_model(data)
    if model.get("version") != SCHEMA_VERSION:
        raise BrokenFlatbufferError(f"has schema version {model.get('version')}, not 3")
    graphs = model.get("subgraphs", [])
    if len(graphs) != 1:
        raise BrokenFlatbufferError(f"has {len(graphs)} graphs, not one")
    sizes = [_size_of(buffer) for buffer in model.get("buffers", [])]
    tensors = [_check_tensor(tensor, sizes) for tensor in graphs[0].get("tensors", [])]
    if sum(tensor["bytes"] for tensor in tensors) > LARGEST_GRAPH_BYTES:
        raise BrokenFlatbufferError(f"needs more than {LARGEST_GRAPH_BYTES} bytes for its tensors")
    codes = [_operator_name(code) for code in model.get("operator_codes", [])]
    _check_graph(data, graphs[0], tensors, codes)
    _check_names(model, graphs[0], buffers=len(sizes))


def _size_of(buffer: Content) -> int:
    # Offsets 0 and 1 both say that the data are here.
    if buffer.get("offset", 0) > 1 or buffer.get("size", 0) > 1:
        raise BrokenFlatbufferError("keeps weights outside of its flatbuffer")
    return len(buffer.get("data", ()))


def _check_tensor(tensor: Content, buffer_sizes: list[int]) -> Content:
    kind = _names_of_types().get(tensor.get("type", 0))
    shape = tensor.get("shape", np.zeros(0, np.int32)).tolist()
    if kind not in BYTES_OF_TYPE or tensor.get("is_variable") or tensor.get("external_buffer"):
        raise BrokenFlatbufferError("has a tensor of a kind that is not supported")
    if len(shape) > LARGEST_RANK or any(side < 1 for side in shape):
        raise BrokenFlatbufferError(f"has a tensor of the shape {shape}")
    needed = math.prod(shape) * BYTES_OF_TYPE[kind]
    if needed > LARGEST_TENSOR_BYTES:
        raise BrokenFlatbufferError(f"has a tensor of {needed} bytes")
    number = tensor.get("buffer", 0)
    if number >= len(buffer_sizes):
        raise BrokenFlatbufferError(f"has a tensor in the buffer {number}, which is not there")
    if buffer_sizes[number] not in {0, needed}:
        raise BrokenFlatbufferError(
            f"has a tensor of {needed} bytes with {buffer_sizes[number]} bytes of data"
        )
    _check_quantization(tensor.get("quantization", {}), kind, shape)
    is_constant = bool(buffer_sizes[number])
    return {"shape": shape, "kind": kind, "bytes": needed, "is_constant": is_constant}


def _check_quantization(quantization: Content, kind: str, shape: list[int]) -> None:
    scales = quantization.get("scale", np.zeros(0, np.float32))
    zeros = quantization.get("zero_point", np.zeros(0, np.int64))
    if not len(scales):
        return
    axis = quantization.get("quantized_dimension", 0)
    channels = shape[axis] if 0 <= axis < len(shape) else 1
    if len(scales) not in {1, channels} or len(zeros) not in {0, 1, len(scales)}:
        raise BrokenFlatbufferError(
            f"has {len(scales)} scales and {len(zeros)} zero points for {channels} channels"
        )
    if (
        not np.all(np.isfinite(scales))
        or np.any(scales < 0)
        or (len(scales) == 1 and not scales[0])
    ):
        raise BrokenFlatbufferError("has a scale that is not a number above 0")
    low, high = ZERO_POINTS.get(kind, (0, 0))
    if np.any(zeros < low) or np.any(zeros > high):
        raise BrokenFlatbufferError(f"has a zero point that {kind} cannot hold")


def _operator_name(code: Content) -> str:
    number = max(code.get("builtin_code", 0), code.get("deprecated_builtin_code", 0))
    name = _names_of_operators().get(number, f"number {number}")
    if name not in OPTIONS_OF_OPERATOR:
        raise BrokenFlatbufferError(
            f"uses the operator {name}, which classifiers of pictures are not made of"
        )
    return name


def _check_graph(data: bytes, graph: Content, tensors: list[Content], codes: list[str]) -> None:
    """Each operator takes what there is by then: an input, a constant, or what one before gave."""
    ends = [*graph.get("inputs", ()), *graph.get("outputs", ())]
    if any(not 0 <= index < len(tensors) for index in ends):
        raise BrokenFlatbufferError("has an end at a tensor that is not there")
    constants = {index for index, tensor in enumerate(tensors) if tensor["is_constant"]}
    known = constants | {int(index) for index in graph.get("inputs", ())}
    for operator in graph.get("operators", []):
        number = operator.get("opcode_index", 0)
        if number >= len(codes):
            raise BrokenFlatbufferError(f"uses the operator code {number}, which is not there")
        inputs = [int(index) for index in operator.get("inputs", ())]
        outputs = [int(index) for index in operator.get("outputs", ())]
        _refuse_wrong_order(inputs, outputs, known, tensors)
        known.update(outputs)
        options = _read_options(data, operator, codes[number])
        refuse_wrong_shapes(codes[number], options, inputs, outputs, tensors)
    if not known.issuperset(int(index) for index in graph.get("outputs", ())):
        raise BrokenFlatbufferError("has an output that nothing gives")


def _refuse_wrong_order(
    inputs: list[int], outputs: list[int], known: Collection[int], tensors: list[Content]
) -> None:
    if not inputs or not outputs:
        raise BrokenFlatbufferError("has an operator without input or output")
    # -1 stands for an input that is left out.
    if any(index != -1 and index not in known for index in inputs):
        raise BrokenFlatbufferError("has an operator that takes what nothing gives")
    if any(not 0 <= index < len(tensors) or index in known for index in outputs):
        raise BrokenFlatbufferError("has an operator that gives what is there already, or nowhere")


def _read_options(data: bytes, operator: Content, name: str) -> Content:
    kind = _names_of_options().get(operator.get("builtin_options_type", 0))
    if kind not in {OPTIONS_OF_OPERATOR[name], "NONE"}:
        raise BrokenFlatbufferError(f"has an operator {name} with {kind} in place of its options")
    if operator.get("large_custom_options_size", 0) or "builtin_options" not in operator:
        return {}
    place, layout = operator["builtin_options"], OPTION_LAYOUTS.get(str(kind), {})
    return read_table(data, layout, place=place, name=str(kind))


def _check_names(model: Content, graph: Content, *, buffers: int) -> None:
    """What signatures and metadata point to."""
    ends = {int(index) for end in ("inputs", "outputs") for index in graph.get(end, ())}
    for signature in model.get("signature_defs", []):
        named = [*signature.get("inputs", []), *signature.get("outputs", [])]
        if signature.get("subgraph_index", 0) or any(
            end.get("tensor_index", 0) not in ends for end in named
        ):
            raise BrokenFlatbufferError("has a signature that names no end of the graph")
    if any(entry.get("buffer", 0) >= buffers for entry in model.get("metadata", [])):
        raise BrokenFlatbufferError("has metadata in a buffer that is not there")


def _names_of(enumeration: str) -> dict[Any, str]:
    from ai_edge_litert import schema_py_generated as schema

    members = vars(getattr(schema, enumeration))
    return {value: name for name, value in members.items() if isinstance(value, int)}


def _names_of_types() -> dict[Any, str]:
    return _names_of("TensorType")


def _names_of_operators() -> dict[Any, str]:
    return _names_of("BuiltinOperator")


def _names_of_options() -> dict[Any, str]:
    return _names_of("BuiltinOptions")
