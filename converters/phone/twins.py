"""What a bundle holds beside a run's int8 file: its uint8 twin, and a float16 file."""

import copy
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edge_melanoma.converters.model_info import BundledModel
from edge_melanoma.converters.packing import pack_model
from edge_melanoma.converters.phone.layout import FLOAT16
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import run_in_child
from edge_melanoma.runs.models import TrainedModel, open_converted
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.modes import Correction, Mode

SIGN_SHIFT = 128
"""Between the zero points of int8 and uint8: to requantise is to turn the sign bit alone."""


def make_uint8_twin(data: bytes) -> bytes:
    """The same network for clients that refuse int8: raw RGB bytes in, P x 256 out.

    A step from uint8 stands before it and one to uint8 behind it, made from the file alone, without
    a converter. Of the same picture it gives the int8 file's integer plus 128.

    Raises:
        EdgeMelanomaError: the file is not int8 in and out, or cannot be read.
    """
    facts = inspect_model(data)
    types = (facts.input.dtype, facts.output.dtype)
    if types != ("int8", "int8"):
        raise EdgeMelanomaError(
            f"A uint8 twin is made of a file with int8 input and output; this one has "
            f"{types[0]} and {types[1]}."
        )
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    graph, code = model.subgraphs[0], _quantize_code(model)
    (image,), (score,) = graph.inputs, graph.outputs
    graph.inputs = [_add_uint8_end(graph, image)]
    graph.outputs = [_add_uint8_end(graph, score)]
    graph.operators.insert(0, _step(code, graph.inputs[0], image))
    graph.operators.append(_step(code, score, graph.outputs[0]))
    moved = {image: graph.inputs[0], score: graph.outputs[0]}
    for signature in model.signatureDefs or ():
        for end in [*signature.inputs, *signature.outputs]:
            end.tensorIndex = moved.get(end.tensorIndex, end.tensorIndex)
    return pack_model(model, size=len(data))


def find_or_convert_float16(run: TrainedModel, *, with_map: bool = False) -> BundledModel:
    """The run's export at its own threshold, or a conversion at the threshold of the network.

    `with_map` asks for the second output, of which the export may have one or not.

    Raises:
        EdgeMelanomaError: a conversion is needed and TensorFlow is not installed.
    """
    path = run.exports_folder / f"model_{Mode.FLOAT16}.tflite"
    exported = open_converted(path) if path.is_file() else None
    if exported is not None and bool(exported.manifest.get("with_map")) == with_map:
        data, threshold = exported.data, float(exported.manifest["threshold"])
    else:
        data, threshold = run_in_child(_convert, run, with_map=with_map), run.threshold
    return BundledModel(
        file=Path(FLOAT16).name, data=data, threshold=threshold, threshold_integer=None
    )


def _quantize_code(model: Any) -> int:
    wanted = schema.BuiltinOperator.QUANTIZE
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == wanted:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = wanted
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _add_uint8_end(graph: Any, index: int) -> int:
    """A uint8 tensor under the name of an int8 one, which gets another."""
    inner = graph.tensors[index]
    outer = copy.copy(inner)
    outer.quantization = copy.copy(inner.quantization)
    outer.type = schema.TensorType.UINT8
    outer.quantization.zeroPoint = inner.quantization.zeroPoint + SIGN_SHIFT
    inner.name = inner.name + b"/int8"
    graph.tensors.append(outer)
    return len(graph.tensors) - 1


def _step(code: int, source: int, target: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [source], [target]
    operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    operator.builtinOptions = schema.QuantizeOptionsT()
    return operator


def _convert(run: TrainedModel, *, with_map: bool) -> bytes:
    """Biases are not corrected for the rounding, which takes pictures; halves hardly round."""
    from edge_melanoma.converters.packing import slim_model
    from edge_melanoma.converters.tflite import convert_network
    from edge_melanoma.network.network import load_network

    settings = ExportSettings(correction=Correction.NONE, with_map=with_map, views=run.views)
    return slim_model(convert_network(load_network(run), Mode.FLOAT16, settings=settings))
