"""What int8 costs at each layer: the tensors of two files on the same pictures, worst first."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.machine.processes import stderr_discarded
from edge_melanoma.runtime.interpreters import quantization_of
from edge_melanoma.tflite.inspection import operator_names, read_tables

STEPS = frozenset({"QUANTIZE", "DEQUANTIZE"})
"""Operators between float and int8, which belong to no layer."""

TENSORFLOW_NAMES = {
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "depthwise",
    "FULLY_CONNECTED": "MatMul",
}
"""What the operator of a layer with a kernel is called in the graph that is converted."""

CALL = "PartitionedCall"
"""What a converter calls the tensor that the whole graph returns."""

POOR_DB, FAIR_DB = 10.0, 20.0
"""The noise is a tenth and a hundredth of the signal's power."""

COLOURS = "#D55E00", "#E69F00", "#0072B2"
"""Of bars below the first, below the second, and at or above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator of a .tflite file, and the network layer that it computes."""

    layer: str
    kind: str
    tensor: str
    tensor_index: int
    is_float: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerError:
    """How far an operator's output lies from the float file's, over all pictures and values.

    `scale` is one step of the int8 tensor, 0 where it is float. Without any error the signal-to-
    quantisation-noise ratio is infinite.
    """

    layer: str
    operator: str
    cosine: float
    sqnr_db: float
    largest_absolute: float
    scale: float


def find_operators(data: bytes) -> tuple[Operator, ...]:
    """The operators of a .tflite file in their order, without the steps between float and int8.

    In a file that was made smaller a tensor is called as its layer. In a converter's own an output
    bears the names of all that was fused into it, as `network/layer/operation;...`: the layer is
    that of the operation of its own kind, else the first; a nameless output, as the score's is,
    belongs to the layer that it is computed from.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = read_tables(data)
    graph, kinds = model.subgraphs[0], operator_names(model)
    layers: dict[int, str] = {}
    found = []
    for operator in graph.operators:
        kind, index = kinds[operator.opcodeIndex], int(operator.outputs[0])
        tensor = graph.tensors[index]
        name = tensor.name.decode()
        parent = layers.get(int(operator.inputs[0]), "")
        layers[index] = parent if kind in STEPS else _layer_of(name, kind) or parent
        is_float = tensor.type == schema.TensorType.FLOAT32
        found.append(
            Operator(
                layer=layers[index], kind=kind, tensor=name, tensor_index=index, is_float=is_float
            )
        )
    return tuple(operator for operator in found if operator.kind not in STEPS)


def measure_layer_errors(
    reference: bytes, quantised: bytes, images: NDArray[np.uint8]
) -> tuple[LayerError, ...]:
    """Every operator of an int8 file against the same of the float32 file, worst SQNR first.

    `images` are RGB pictures (n, 224, 224, 3). Errors add up on their way: a layer is given what
    the layers before it have left. Run without XNNPACK, which keeps no tensors inside.
    """
    before, after = _Tracer(reference), _Tracer(quantised)
    kinds = [[operator.kind for operator in tracer.operators] for tracer in (before, after)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"the two files differ in their operators: {kinds[0]} and {kinds[1]}")
    # Of an operator: powers of both outputs, their product, the noise's power, the largest error.
    sums = np.zeros((len(after.operators), 5))
    for image in images:
        for total, expected, found in zip(sums, before.run(image), after.run(image), strict=True):
            noise = found - expected
            pairs = (expected, expected), (found, found), (expected, found), (noise, noise)
            total[:-1] += [_dot(*pair) for pair in pairs]
            total[-1] = max(total[-1], np.abs(noise).max())
    made = zip(after.operators, sums.tolist(), after.quantizations, strict=True)
    errors = (_error_of(operator, total, scale=steps.scale) for operator, total, steps in made)
    return tuple(sorted(errors, key=lambda error: error.sqnr_db))


def draw_layer_errors(errors: Sequence[LayerError], path: Path, *, title: str) -> Path:
    """A bar of SQNR a row in the order given, its cosine beside it; colours say how bad it is."""
    from matplotlib.figure import Figure

    from edge_melanoma.evaluation.figures import save_figure

    # 0.16 inches hold a line of 7 points.
    figure = Figure(figsize=(9, 0.16 * len(errors) + 1.2), layout="constrained")
    axes = figure.subplots()
    limit = max([FAIR_DB, *(abs(e.sqnr_db) for e in errors if math.isfinite(e.sqnr_db))])
    lengths = [min(max(error.sqnr_db, -limit), limit) for error in errors]
    colours = [COLOURS[np.digitize(error.sqnr_db, (POOR_DB, FAIR_DB))] for error in errors]
    bars = axes.barh(range(len(errors)), lengths, color=colours)
    labels = [f"{error.sqnr_db:.1f} dB, cosine {error.cosine:.4f}" for error in errors]
    axes.bar_label(bars, labels, padding=3, fontsize=7)
    names = [f"{error.layer} ({error.operator.lower()})" for error in errors]
    axes.set_yticks(range(len(errors)), names, fontsize=7)
    axes.set(xlabel="signal to quantisation noise, dB (worst first)", title=title)
    axes.set_ylim(len(errors) - 0.4, -0.6)
    axes.margins(x=0.25)
    axes.grid(axis="x", alpha=0.25)
    return save_figure(figure, path)


def _layer_of(name: str, kind: str) -> str:
    parts = [part.split("/") for part in name.split(";") if part.count("/") >= 2]
    own = TENSORFLOW_NAMES.get(kind)
    layers = {part[1] for part in parts if own and part[-1].startswith(own)}
    if not parts and CALL not in name:
        return name.partition(":")[0]
    if len(layers) > 1:
        raise ValueError(f"the {kind} {name} is of more than one layer")
    return layers.pop() if layers else (parts[0][1] if parts else "")


class _Tracer:
    """A file in an interpreter that keeps every tensor."""

    def __init__(self, data: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        with stderr_discarded():
            self._interpreter = Interpreter(
                model_content=data,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=True,
            )
            self._interpreter.allocate_tensors()
        details = {tensor["index"]: tensor for tensor in self._interpreter.get_tensor_details()}
        self.operators = find_operators(data)
        self.quantizations = [quantization_of(details[o.tensor_index]) for o in self.operators]
        self._input = self._interpreter.get_input_details()[0]
        self._pixel_table = quantization_of(self._input).pixel_table()

    def run(self, image: NDArray[np.uint8]) -> Iterator[NDArray[np.float64]]:
        """Each operator's output for a picture, as real numbers, one at a time."""
        self._interpreter.set_tensor(self._input["index"], self._pixel_table.take(image)[None])
        self._interpreter.invoke()
        for operator, quantization in zip(self.operators, self.quantizations, strict=True):
            integers = self._interpreter.get_tensor(operator.tensor_index)
            yield quantization.dequantize(integers).ravel()


def _dot(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Without BLAS, whose threads spun for 1.8 CPU seconds a picture where this takes 0.05."""
    return float(np.einsum("i,i->", one, other))


def _error_of(operator: Operator, sums: Sequence[float], *, scale: float) -> LayerError:
    signal, other, product, noise, largest = sums
    norms = math.sqrt(signal * other)
    ratio = 10 * math.log10(signal / noise) if noise and signal else math.inf
    return LayerError(
        layer=operator.layer,
        operator=operator.kind,
        cosine=product / norms if norms else float(not noise),
        sqnr_db=-ratio if noise and not signal else ratio,
        largest_absolute=largest,
        scale=scale,
    )
