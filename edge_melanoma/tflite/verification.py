"""Holds a .tflite file against what a lesion classifier can be, before any interpreter sees it.

The schema's reader follows whatever it finds: so it reads in a child with a limit of memory and of
time. What passes may still be a poor model; it is none that takes an interpreter much memory.
"""

import math
from typing import Any

import numpy as np

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import run_limited
from edge_melanoma.tflite.inspection import integers, names_of, operator_names

FILE_IDENTIFIER = b"TFL3"
VERIFICATION_SECONDS = 18.0
LARGEST_TENSOR_BYTES, LARGEST_GRAPH_BYTES = 64 * 2**20, 512 * 2**20
"""Of one and of all. MobileNetV2 in float32 has 46 MB, a hundred times less alive at once."""
LARGEST_RANK, LARGEST_STEP, LARGEST_TABLE_COUNT = 6, 32, 100_000
"""The last since a file of ten bytes a table could name each of them a million times."""

TYPES = ["FLOAT32", "FLOAT16", "INT32", "UINT8", "INT64", "BOOL", "INT16", "INT8"]
ZERO_POINTS = {"INT8": (-128, 127), "UINT8": (0, 255)}
"""Other integers are symmetric."""

UNSUPPORTED = {
    "ModelT": ("externalBufferGroups", "externalBuffers"),
    "OperatorCodeT": ("customCode",),
    "TensorT": ("sparsity", "variantTensors", "externalBuffer", "isVariable"),
    "QuantizationParametersT": ("details",),
    "OperatorT": ("customOptions", "largeCustomOptionsSize", "builtinOptions2"),
}
"""Fields that lead out of the file, or to what no classifier of pictures is made of."""

OPERATORS = """
    ADD AVERAGE_POOL_2D BATCH_MATMUL CAST CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE DIV EXP
    EXPAND_DIMS FULLY_CONNECTED GELU GREATER HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM MAX_POOL_2D
    MEAN MINIMUM MUL PACK PAD PADV2 PRELU QUANTIZE REDUCE_MAX RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1
    RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RSQRT SHAPE SLICE SOFTMAX SQRT
    SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE
"""
"""No loops, no variables, no code of others' making."""

SHARED_OPTIONS = dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), "POOL_2D")
SHARED_OPTIONS |= dict.fromkeys(("MAXIMUM", "MINIMUM"), "MAXIMUM_MINIMUM")
SHARED_OPTIONS |= dict.fromkeys(("MEAN", "REDUCE_MAX", "SUM"), "REDUCER")
"""The other operators have options of their own name, as FullyConnectedOptions, or none."""


class BrokenModelError(EdgeMelanomaError):
    """What is wrong with a file, as the end of a sentence about it."""


def verify_model(data: bytes, *, name: str) -> None:
    """Refuse a file that is broken, or that is no network as lesion classifiers are.

    Raises:
        EdgeMelanomaError: the first thing that is wrong.
        ChildDiedError: reading it took too much memory or too long.
    """
    try:
        run_limited(check_model, data, what=f"The model {name}", seconds=VERIFICATION_SECONDS)
    except BrokenModelError as error:
        told = f"{name} is not a .tflite file of a lesion classifier: it {error}"
        raise EdgeMelanomaError(f"{told}; export it again, or fetch it again.") from error


def check_model(data: bytes) -> None:
    """The same in this process, whose memory and time a hostile file can take."""
    model = _read(data)
    graphs, sizes = model.subgraphs or [], []
    _refuse(model.version != 3, f"has schema version {model.version}, not 3")
    _refuse(len(graphs) != 1, f"has {len(graphs)} graphs, not one")
    tensors, names = graphs[0].tensors or [], operator_names(model)
    steps = [tensor.quantization for tensor in tensors if tensor.quantization is not None]
    tables = [model, *(model.operatorCodes or []), *(graphs[0].operators or []), *tensors, *steps]
    for table, field in ((t, field) for t in tables for field in UNSUPPORTED[type(t).__name__]):
        # Absent is none for tables and vectors, however short, and zero for numbers.
        value, kind = getattr(table, field), type(table).__name__[:-1]
        is_used = value is not None and not (np.isscalar(value) and not value)
        _refuse(is_used, f"uses {kind}.{field}, which is not supported")
    for name in names:
        told = f"uses the operator {name}, which classifiers of pictures are not made of"
        _refuse(name not in OPERATORS.split(), told)
    for buffer in model.buffers or []:
        # Offsets 0 and 1 both say that the data are here.
        _refuse(max(buffer.offset, buffer.size) > 1, "keeps weights outside of its flatbuffer")
        sizes.append(0 if buffer.data is None else len(buffer.data))
    is_large = sum(_check_tensor(tensor, sizes) for tensor in tensors) > LARGEST_GRAPH_BYTES
    _refuse(is_large, f"needs more than {LARGEST_GRAPH_BYTES} bytes for its tensors")
    _check_graph(graphs[0], sizes, names)
    ends = {*integers(graphs[0].inputs), *integers(graphs[0].outputs)}
    for signature in model.signatureDefs or []:
        named = {end.tensorIndex for end in (signature.inputs or []) + (signature.outputs or [])}
        leads_out = signature.subgraphIndex or named - ends
        _refuse(leads_out, "has a signature that names no end of the graph")
    for entry in model.metadata or []:
        _refuse(entry.buffer >= len(sizes), "has metadata in a buffer that is not there")


def _refuse(is_wrong: object, told: str) -> None:
    if is_wrong:
        raise BrokenModelError(told)


def _read(data: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    _refuse(data[4:8] != FILE_IDENTIFIER, "does not bear the identifier TFL3")
    try:
        root = schema.Model.GetRootAs(data, 0)
        vectors = ["OperatorCodes", "Buffers", "Metadata", "SignatureDefs", "Subgraphs"]
        count = sum(getattr(root, f"{vector}Length")() for vector in vectors)
        if root.SubgraphsLength():
            count += root.Subgraphs(0).TensorsLength() + root.Subgraphs(0).OperatorsLength()
        _refuse(count > LARGEST_TABLE_COUNT, f"has more than {LARGEST_TABLE_COUNT} tables")
        return schema.ModelT.InitFromObj(root)
    except (BrokenModelError, MemoryError):
        raise
    except Exception as error:
        # Generated readers raise struct.error, IndexError, TypeError and more on broken bytes.
        raise BrokenModelError("points to bytes that it does not have") from error


def _check_tensor(tensor: Any, sizes: list[int]) -> int:
    """How many bytes it takes."""
    kind, shape = names_of("TensorType").get(tensor.type, ""), integers(tensor.shape)
    _refuse(kind not in TYPES, "has a tensor of a kind that is not supported")
    is_odd = len(shape) > LARGEST_RANK or min(shape, default=1) < 1
    _refuse(is_odd, f"has a tensor of the shape {shape}")
    needed, place = math.prod(shape) * np.dtype(kind.lower()).itemsize, tensor.buffer
    _refuse(needed > LARGEST_TENSOR_BYTES, f"has a tensor of {needed} bytes")
    _refuse(place >= len(sizes), f"has a tensor in the buffer {place}, which is not there")
    _refuse(sizes[place] not in {0, needed}, f"has {sizes[place]} bytes of data for {needed}")
    steps = tensor.quantization
    if steps is None or steps.scale is None or not len(steps.scale):
        return needed
    scales, zeros = np.asarray(steps.scale), np.asarray(integers(steps.zeroPoint))
    channels = dict(enumerate(shape)).get(steps.quantizedDimension, 1)
    fits = len(scales) in {1, channels} and len(zeros) in {0, 1, len(scales)}
    told = f"has {len(scales)} scales and {len(zeros)} zero points for {channels} channels"
    _refuse(not fits, told)
    is_sound = np.all(np.isfinite(scales) & (scales >= 0)) and (len(scales) > 1 or scales[0])
    _refuse(not is_sound, "has a scale that is not a number above 0")
    is_beyond = np.any(zeros.clip(*ZERO_POINTS.get(kind, (0, 0))) != zeros)
    _refuse(is_beyond, f"has a zero point that {kind} cannot hold")
    return needed


def _check_graph(graph: Any, sizes: list[int], names: list[str]) -> None:
    """Each operator takes what there is by then: an input, a constant, or what one before gave."""
    shapes = {index: integers(tensor.shape) for index, tensor in enumerate(graph.tensors or [])}
    starts, ends = integers(graph.inputs), integers(graph.outputs)
    _refuse({*starts, *ends} - {*shapes}, "has an end at a tensor that is not there")
    known = {*starts, *(index for index in shapes if sizes[graph.tensors[index].buffer])}
    for operator in graph.operators or []:
        code = operator.opcodeIndex
        inputs, outputs = integers(operator.inputs), integers(operator.outputs)
        _refuse(code >= len(names), f"uses the operator code {code}, which is not there")
        _refuse(not inputs or not outputs, "has an operator without input or output")
        # -1 stands for an input that is left out.
        _refuse({*inputs} - known - {-1}, "has an operator that takes what nothing gives")
        is_old = known.intersection(outputs) or {*outputs} - {*shapes}
        _refuse(is_old, "has an operator that gives what is there already, or nowhere")
        known.update(outputs)
        name, kind = names[code], names_of("BuiltinOptions").get(operator.builtinOptionsType, "")
        own = SHARED_OPTIONS.get(name, name).replace("_", "")
        is_other = kind.upper() not in {f"{own}OPTIONS", "NONE"}
        _refuse(is_other, f"has an operator {name} with {kind} in place of its options")
        if name in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
            taken = [shapes.get(index) for index in inputs]
            _check_shapes(name, operator.builtinOptions, taken, [shapes[i] for i in outputs])
    _refuse(not known.issuperset(ends), "has an output that nothing gives")


def _check_shapes(name: str, options: Any, taken: list[Any], given: list[list[int]]) -> None:
    """Of an operator with weights; the others keep shapes, or compute them."""
    is_partial = len(taken) not in {2, 3} or None in taken[:2] or len(given) != 1
    _refuse(is_partial, f"has a {name} with {len(taken)} inputs")
    (image, kernel), bias, wanted = [shape or [] for shape in taken[:2]], taken[2:], []
    if name == "FULLY_CONNECTED":
        if image and len(kernel) == 2 and image[-1] == kernel[1]:
            wanted = [*given[0][:-1], kernel[0]]
    elif len(image) == len(kernel) == 4 and options is not None:
        channels = kernel[0] if image[3] % kernel[3] == 0 else 0
        if name != "CONV_2D":
            is_deep = kernel[0] == 1 and kernel[3] == image[3] * options.depthMultiplier
            channels = kernel[3] if is_deep else 0
        wanted = [image[0], 0, 0, channels]
        for axis, side in enumerate("HW", start=1):
            step, gap = (getattr(options, f) for f in (f"stride{side}", f"dilation{side}Factor"))
            is_odd = not 1 <= min(step, gap) <= max(step, gap) <= LARGEST_STEP
            _refuse(is_odd, f"has a window with steps of {step} and gaps of {gap}")
            # Padding 0 is SAME, 1 is VALID.
            covered = gap * (kernel[axis] - 1) + 1 if options.padding else 1
            wanted[axis] = (image[axis] - covered) // step + 1
    fits = wanted and given[0] == wanted and bias in ([], [None], [wanted[-1:]])
    _refuse(not fits, f"has a {name} whose shapes do not fit: {image} by {kernel} to {given[0]}")
