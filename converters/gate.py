"""Puts a gate into a .tflite file, without a converter; `packing.without_gate` takes it out.

The file's own tensor of the layer is averaged over its places, then a convolution of one place
makes the components of it; of eight views that of the picture as it is remains. In an int8 file all
of that is int8. A file whose tensor is of another kind computes the gate in float.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_melanoma.converters.layer_errors import find_operators
from edge_melanoma.converters.packing import pack_model
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.network.gate import LAYER, MEANS_LAYER, Gate
from edge_melanoma.tflite.gate import STEP
from edge_melanoma.tflite.inspection import operator_names, read_tables
from edge_melanoma.tflite.quantization import GATE_NAME

CONVOLUTION = LAYER.removesuffix("_relu")
LAYERS = frozenset({LAYER, CONVOLUTION})
"""What the operator of the activation is called, whichever of the two the converter kept."""

PLACES = (1, 2)
WEIGHT_LEVELS, LOWEST = 127, -128
KINDS = {
    "DEQUANTIZE": (schema.BuiltinOptions.DequantizeOptions, schema.DequantizeOptionsT),
    "MEAN": (schema.BuiltinOptions.ReducerOptions, schema.ReducerOptionsT),
    "CONV_2D": (schema.BuiltinOptions.Conv2DOptions, schema.Conv2DOptionsT),
    "SLICE": (schema.BuiltinOptions.SliceOptions, schema.SliceOptionsT),
}


def attach_gate(data: bytes, gate: Gate) -> bytes:
    """The same file with the components of a gate as its second output.

    Raises:
        EdgeMelanomaError: the file has no tensor of the layer, or one of other channels.
    """
    found = [o.tensor_index for o in find_operators(data) if o.layer in LAYERS]
    model = read_tables(data)
    graph, channels = model.subgraphs[0], gate.kernel.shape[0]
    if not found or int(graph.tensors[found[-1]].shape[-1]) != channels:
        raise EdgeMelanomaError(
            f"The gate needs the {channels} channels of {LAYER}, which the file does not have; "
            f"train the run again."
        )
    writer = _Writer(model)
    output = _write_steps(writer, gate, found[-1], graph.tensors[found[-1]])
    writer.insert_behind(found[-1])
    graph.outputs = [int(graph.outputs[0]), output, *map(int, graph.outputs[1:])]
    for signature in model.signatureDefs or ():
        named = schema.TensorMapT()
        named.name, named.tensorIndex = GATE_NAME.encode(), output
        signature.outputs = [*signature.outputs, named]
    return pack_model(model, size=len(data))


def _write_steps(writer: "_Writer", gate: Gate, at: int, source: Any) -> int:
    """From the tensor `source`, whose number is `at`, to the components; the number of these."""
    views, channels, count = int(source.shape[0]), gate.kernel.shape[0], len(gate.bias)
    is_int8 = source.type == schema.TensorType.INT8
    scale = gate.largest_mean / 255 if is_int8 else None
    if not is_int8 and source.type != schema.TensorType.FLOAT32:
        numbers = writer.tensor(f"{LAYER}_float", source.shape)
        writer.step("DEQUANTIZE", [at], numbers)
        at = numbers
    means = writer.tensor(MEANS_LAYER, (views, 1, 1, channels), scale=scale, zero=LOWEST)
    places = writer.tensor(f"{MEANS_LAYER}/axes", (2,), data=np.array(PLACES, np.int32))
    writer.step("MEAN", [at, places], means, keepDims=True)
    step = STEP if is_int8 else None
    kernel, bias = _integers_of(writer, gate, scale) if scale else _floats_of(writer, gate)
    name = GATE_NAME if views == 1 else f"{GATE_NAME}/views"
    components = writer.tensor(name, (views, 1, 1, count), scale=step)
    window = {"strideW": 1, "strideH": 1, "padding": schema.Padding.VALID}
    window |= {"dilationWFactor": 1, "dilationHFactor": 1}
    writer.step("CONV_2D", [means, kernel, bias], components, **window)
    if views == 1:
        return components
    first = (1, 1, 1, count)
    begin = writer.tensor(f"{GATE_NAME}/begin", (4,), data=np.zeros(4, np.int32))
    size = writer.tensor(f"{GATE_NAME}/size", (4,), data=np.array(first, np.int32))
    one = writer.tensor(GATE_NAME, first, scale=step)
    writer.step("SLICE", [components, begin, size], one)
    return one


def _floats_of(writer: "_Writer", gate: Gate) -> tuple[int, int]:
    rows = np.ascontiguousarray(gate.kernel.T[:, np.newaxis, np.newaxis])
    kernel = writer.tensor(f"{GATE_NAME}/kernel", rows.shape, data=rows)
    return kernel, writer.tensor(f"{GATE_NAME}/bias", gate.bias.shape, data=gate.bias)


def _integers_of(writer: "_Writer", gate: Gate, step: float) -> tuple[int, int]:
    """Kernel and bias of the int8 convolution; the bias makes good what rounding the kernel did.

    The training's centre, where all components but the one-sided are 0, stays there.
    """
    kernel = gate.kernel.T.astype(np.float64)
    scales = (np.abs(kernel).max(axis=1) / WEIGHT_LEVELS).astype(np.float32)
    rounded = np.round(kernel / scales[:, np.newaxis]).astype(np.int8)
    lost = kernel - rounded * scales[:, np.newaxis].astype(np.float64)
    of_bias = (scales * np.float32(step)).astype(np.float32)
    bias = gate.bias.astype(np.float64) + lost @ gate.centre
    integers = np.round(bias / of_bias).astype(np.int32)
    rows = np.ascontiguousarray(rounded[:, np.newaxis, np.newaxis])
    return (
        writer.tensor(f"{GATE_NAME}/kernel", rows.shape, data=rows, scale=scales, zero=0),
        writer.tensor(f"{GATE_NAME}/bias", bias.shape, data=integers, scale=of_bias, zero=0),
    )


class _Writer:
    """Adds tensors and operators to a `ModelT`."""

    def __init__(self, model: Any) -> None:
        self._model, self._graph = model, model.subgraphs[0]
        self._operators: list[Any] = []

    def tensor(
        self,
        name: str,
        shape: Any,
        *,
        data: NDArray[Any] | None = None,
        scale: Any = None,
        zero: int = 0,
    ) -> int:
        """The number of a new tensor: int8 where it has a scale and no data, float without."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name.encode(), [int(side) for side in shape]
        kind = data.dtype.name if data is not None else "float32" if scale is None else "int8"
        tensor.type = getattr(schema.TensorType, kind.upper())
        if scale is not None:
            steps = schema.QuantizationParametersT()
            steps.scale = np.atleast_1d(np.asarray(scale, np.float32))
            steps.zeroPoint = np.full(len(steps.scale), zero, np.int64)
            tensor.quantization = steps
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def step(self, kind: str, inputs: list[int], output: int, **settings: Any) -> None:
        """One more operator, in the order of what it takes."""
        names = operator_names(self._model)
        if kind not in names:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, kind)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = 2
            self._model.operatorCodes.append(code)
            names.append(kind)
        number, make = KINDS[kind]
        operator, options = schema.OperatorT(), make()
        for name, value in settings.items():
            setattr(options, name, value)
        operator.opcodeIndex, operator.inputs = names.index(kind), inputs
        operator.outputs = [output]
        operator.builtinOptionsType, operator.builtinOptions = number, options
        self._operators.append(operator)

    def insert_behind(self, tensor: int) -> None:
        """Put the operators behind the one that makes `tensor`: the score's stays the last."""
        made = [tensor in operator.outputs for operator in self._graph.operators]
        place = made.index(True) + 1
        self._graph.operators[place:place] = self._operators
