"""The second way to a quantised file: LiteRT's own quantizer, which reads a float32 .tflite file.

It needs no TensorFlow and can leave single layers float. Its calibration is not used: moving
averages collapse the range of a single logit and pull the input's inside 0..1. Here ranges are
plain extremes.
"""

import re
import warnings
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.layer_errors import find_operators
from edge_melanoma.errors import EdgeMelanomaError, MissingExtraError
from edge_melanoma.machine.processes import stderr_discarded
from edge_melanoma.tflite.inspection import operator_names
from edge_melanoma.tflite.modes import InputOutput, Mode

SIGMOID_RANGE = (0.0, 255 / 256)
"""What 8 bits hold in steps of 1/256; calibration images do not reach its ends."""

LARGEST_BIAS = 2**30
"""Half of what 32 bits hold: the sum of products needs room too."""

EVERYTHING = ".*"
Ranges = dict[str, dict[str, NDArray[np.float32]]]
"""Smallest and largest value by tensor name, in the quantizer's form."""


def quantize_float_model(
    data: bytes,
    mode: Mode,
    *,
    io: InputOutput,
    calibration: CalibrationSet | None,
    float_layers: Collection[str] = (),
) -> bytes:
    """The .tflite file `data`, float32 with a batch of 1, in one mode.

    Operators of `float_layers`, by their names in the network, stay float. `io` counts for int8;
    the other modes have float32 ends. float32 is returned as it is.

    Raises:
        EdgeMelanomaError: an operator that cannot be quantised, or a layer that is not there.
        MissingExtraError: the quantizer is not installed.
        ValueError: activations are to be quantised without a calibration set.
    """
    if mode is Mode.FLOAT32:
        return data
    if mode.quantises_activations and calibration is None:
        raise ValueError(f"the mode {mode} needs a calibration set")
    try:
        import litert_quantizer.model_modifier  # noqa: F401 - what needs all of the package
        from litert_quantizer.utils.tfl_flatbuffer_utils import read_model
    except ImportError as error:
        raise MissingExtraError.for_package(
            "litert-quantizer", extra="litert", purpose="The litert backend"
        ) from error

    model, recipe = read_model(data), _make_recipe(mode, io)
    floats = _find_places(data, float_layers)
    _keep_float(model, recipe, floats, mode=mode)
    ranges: Ranges = {}
    if mode.quantises_activations and calibration is not None:
        ranges = _measure_ranges(data, model.subgraphs[0], calibration.inputs())
        ranges |= _widen_kernels(model, ranges, mode=mode)
    return _quantize(model, recipe, ranges)


def _make_recipe(mode: Mode, io: InputOutput) -> Any:
    """What the whole graph is to become, before single operators are left out."""
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import TFLOperationName
    from litert_quantizer.recipe import dynamic_legacy_wi8_afp32
    from litert_quantizer.recipe_manager import RecipeManager

    recipe, every = RecipeManager(), TFLOperationName.ALL_SUPPORTED
    if mode is Mode.FLOAT16:
        casting = AlgorithmName.FLOAT_CASTING
        recipe.add_weight_only_config(EVERYTHING, every, num_bits=16, algorithm_key=casting)
    elif mode is Mode.DYNAMIC:
        # The converter's rule: kernels of under 1,024 weights stay float: |dp| .009, else .014.
        recipe.load_quantization_recipe(dynamic_legacy_wi8_afp32())
    else:
        bits = 8 if mode is Mode.INT8 else 16
        recipe.add_static_config(EVERYTHING, every, activation_num_bits=bits, weight_num_bits=8)
        _set_ends(recipe, io if mode is Mode.INT8 else InputOutput.FLOAT32)
    return recipe


def _set_ends(recipe: Any, io: InputOutput) -> None:
    """To the quantizer a graph begins and ends with an operator; int8 they are by default."""
    from litert_quantizer import qtyping
    from litert_quantizer.algorithm_manager import AlgorithmName

    unsigned = qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=False, dtype=qtyping.TensorDataType.UINT
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER,
    )
    for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        if io is InputOutput.FLOAT32:
            recipe.add_quantization_config(EVERYTHING, end, None, AlgorithmName.NO_QUANTIZE)
        elif io is InputOutput.UINT8:
            recipe.add_quantization_config(EVERYTHING, end, unsigned)


def _find_places(data: bytes, layers: Collection[str]) -> set[int]:
    """The places of the layers' operators in the graph of a float file, which has no other ones."""
    made_for = [operator.layer for operator in find_operators(data)]
    if missing := [layer for layer in layers if layer not in made_for]:
        raise EdgeMelanomaError(
            f"The float model has no operator of a layer {missing[0]}, which is to stay float."
        )
    return {place for place, layer in enumerate(made_for) if layer in layers}


def _keep_float(model: Any, recipe: Any, floats: set[int], *, mode: Mode) -> None:
    """Leave out the operators at these places, and refuse others that would stay float.

    The quantizer leaves float what it does not know, without a word. An operator is told by kind as
    well as by name: the graph's output has the name of the operator before it.
    """
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.utils.tfl_flatbuffer_utils import get_op_scope

    graph = model.subgraphs[0]
    names = operator_names(model)
    for place, op in enumerate(graph.operators):
        kind, scope = _kind_of(model, op), get_op_scope(op, graph.tensors)
        if place in floats:
            if kind:
                exact = f"^{re.escape(scope)}$"
                recipe.add_quantization_config(exact, kind, None, AlgorithmName.NO_QUANTIZE)
            continue
        algorithm = kind and recipe.get_quantization_configs(kind, scope)[0]
        if mode.quantises_activations and algorithm in {None, AlgorithmName.NO_QUANTIZE}:
            name = names[op.opcodeIndex]
            raise EdgeMelanomaError(
                f"The litert backend cannot quantise the operator {name} to {mode}; "
                f"it makes the tensor {scope.rstrip(';')}."
            )


def _measure_ranges(data: bytes, graph: Any, inputs: Iterable[NDArray[np.float32]]) -> Ranges:
    """Extremes of all tensors that are computed, 0 among them, and the output's by its meaning."""
    from ai_edge_litert.interpreter import Interpreter

    with stderr_discarded(), warnings.catch_warnings():
        # It warns of the memory that kept tensors take: 30 MB here.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = Interpreter(model_content=data, experimental_preserve_all_tensors=True)
        interpreter.allocate_tensors()
    computed = [*graph.inputs, *(index for op in graph.operators for index in op.outputs)]
    extremes = dict.fromkeys(computed, (0.0, 0.0))
    for image in inputs:
        interpreter.set_tensor(graph.inputs[0], image)
        interpreter.invoke()
        for index, (lowest, highest) in extremes.items():
            values = interpreter.get_tensor(index)
            extremes[index] = min(lowest, values.min()), max(highest, values.max())
    extremes[graph.outputs[0]] = SIGMOID_RANGE
    arrays = {_name_of(graph, i): np.array([ends], np.float32).T for i, ends in extremes.items()}
    return {name: {"min": lowest, "max": highest} for name, (lowest, highest) in arrays.items()}


def _widen_kernels(model: Any, ranges: Ranges, *, mode: Mode) -> Ranges:
    """Ranges of the kernels' channels, wide enough for their biases.

    A bias counts steps of the input's scale times its channel's. Channels that died in training
    have weights of 1e-9 or 0 beside a bias of 1: so many steps do not fit into 32 bits, and the
    quantizer writes -2**31 for a bias of either sign, without a word.
    """
    from litert_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    graph, widened = model.subgraphs[0], Ranges()
    for op in graph.operators:
        axis = flatbuffer.TFL_OP_TO_WEIGHT_QUANTIZED_DIM.get(_kind_of(model, op))
        if axis is None or len(op.inputs) < 3 or op.inputs[2] < 0:
            continue
        kernel, bias = (
            np.abs(flatbuffer.get_tensor_data(graph.tensors[index], model.buffers))
            for index in op.inputs[1:3]
        )
        ends = ranges[_name_of(graph, op.inputs[0])]
        scale = (ends["max"] - ends["min"]) / 255
        if mode is Mode.INT16X8:
            scale = np.maximum(ends["max"], -ends["min"]) / 32767
        others = tuple(other for other in range(kernel.ndim) if other != axis)
        largest = kernel.max(axis=others, keepdims=True)
        needed = (127 * bias / (scale * LARGEST_BIAS)).reshape(largest.shape)
        bound = np.maximum(largest, needed).astype(np.float32)
        widened[_name_of(graph, op.inputs[1])] = {"min": -bound, "max": bound}
    return widened


def _quantize(model: Any, recipe: Any, ranges: Ranges) -> bytes:
    """By the stages behind the package's front, which prints a report and shows bars.

    They put weights behind the flatbuffer, where older interpreters see none: moved inside here.
    """
    from ai_edge_litert.tools.flatbuffer_utils import convert_object_to_bytearray
    from litert_quantizer.model_modifier import ModelModifier
    from litert_quantizer.params_generator import ParamsGenerator
    from litert_quantizer.utils.tfl_flatbuffer_utils import read_model

    generator = ParamsGenerator(model)
    parameters = generator.generate_quantization_parameters(recipe, ranges, False)
    data = ModelModifier(model).modify_model(parameters, enable_progress_bar=False)
    return bytes(convert_object_to_bytearray(read_model(data)))


def _kind_of(model: Any, op: Any) -> Any:
    """The quantizer's own name of an operator, None where it has none."""
    from litert_quantizer.utils.tfl_flatbuffer_utils import TFL_OP_CODE_TO_NAME

    return TFL_OP_CODE_TO_NAME.get(model.operatorCodes[op.opcodeIndex].builtinCode)


def _name_of(graph: Any, tensor: int) -> str:
    name: str = graph.tensors[tensor].name.decode()
    return name
