"""Slimmed files: every vector once, short names, and the same outputs bit for bit."""

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from tflite_files import without_metadata

from edge_melanoma.converters.packing import seal_model, slim_model
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import run_in_child
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.tflite.modes import Mode

CHANNELS = 64
KERNELS = tuple(
    OpResolverType[name] for name in ("AUTO", "BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES")
)
LONG = "net/{0}_relu/Relu6;net/{0}/BiasAdd;net/{0}/Conv2D;net/{0}/BiasAdd/ReadVariableOp/resource"


def quantization(scales: NDArray[np.float64], zero_point: int = 0) -> Any:
    parameters = schema.QuantizationParametersT()
    parameters.scale = scales.astype(np.float32)
    parameters.zeroPoint = np.full(scales.size, zero_point, np.int64)
    return parameters


class ModelMaker:
    """Two int8 convolutions of 1x1 with CHANNELS channels, written as the converter does it."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.buffers, self.graph.tensors, self.graph.operators = [schema.BufferT()], [], []
        image = self.add_tensor("serving_default_image:0", scale=1 / 255)
        hidden = self.add_convolution(image, LONG.format("first"))
        score = self.add_convolution(hidden, "PartitionedCall:0")
        self.graph.inputs, self.graph.outputs = np.array([[image], [score]], np.int32)
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
        code.version = 3
        self.model.version, self.model.operatorCodes, self.model.subgraphs = 3, [code], [self.graph]
        self.model.description = b"MLIR Converted."
        self.model.metadata = [self.metadata(name) for name in ("CONVERSION_METADATA", "kept")]
        self.model.signatureDefs = [self.signature(image, score)]

    def add_buffer(self, data: bytes | None) -> int:
        buffer = schema.BufferT()
        buffer.data = None if data is None else np.frombuffer(data, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def add_tensor(self, name: str, *, scale: float) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, np.array([1, 4, 4, CHANNELS], np.int32)
        tensor.type, tensor.buffer = schema.TensorType.INT8, self.add_buffer(None)
        tensor.quantization = quantization(np.array([scale]), -128)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def add_constant(self, values: NDArray[Any], kind: int, scales: NDArray[np.float64]) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = LONG.format("constant"), np.array(values.shape, np.int32)
        tensor.type, tensor.buffer = kind, self.add_buffer(values.tobytes())
        tensor.quantization = quantization(scales)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def add_convolution(self, image: int, name: str) -> int:
        scales = self.random.uniform(1e-3, 2e-3, CHANNELS)
        # Equal kernels become one constant, biases that differ in their last value do not.
        kernel = np.random.default_rng(1).integers(-127, 128, (CHANNELS, 1, 1, CHANNELS), np.int8)
        bias = np.append(np.arange(CHANNELS - 1), 1000 * image).astype(np.int32)
        operator = schema.OperatorT()
        weights = [
            self.add_constant(kernel, schema.TensorType.INT8, scales),
            self.add_constant(bias, schema.TensorType.INT32, scales / 255),
        ]
        operator.inputs = np.array([image, *weights], np.int32)
        operator.outputs = np.array([self.add_tensor(name, scale=1 / 255)], np.int32)
        operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
        operator.builtinOptions = options = schema.Conv2DOptionsT()
        options.strideH = options.strideW = 1
        self.graph.operators.append(operator)
        return int(operator.outputs[0])

    def metadata(self, name: str) -> Any:
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, self.add_buffer(name.encode())
        return entry

    @staticmethod
    def signature(image: int, score: int) -> Any:
        signature = schema.SignatureDefT()
        signature.signatureKey = "serving_default"
        signature.inputs, signature.outputs = [schema.TensorMapT()], [schema.TensorMapT()]
        for (end,), name, index in (
            (signature.inputs, "image", image),
            (signature.outputs, "p_malignant", score),
        ):
            end.name, end.tensorIndex = name, index
        return signature

    def pack(self) -> bytes:
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


@pytest.fixture(scope="module")
def model() -> bytes:
    return ModelMaker().pack()


@pytest.fixture(scope="module")
def slimmed(model: bytes) -> bytes:
    return slim_model(model)


def read(data: bytes) -> Any:
    return schema.ModelT.InitFromPackedBuf(data, 0)


def run(
    data: bytes, kernels: Any, inputs: NDArray[Any], *, interpreter_class: Any = Interpreter
) -> list[bytes]:
    """Raw outputs; the interpreter verifies a flatbuffer that it is given as bytes."""
    interpreter = interpreter_class(model_content=data, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    (image,), (score,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for values in inputs:
        interpreter.set_tensor(image["index"], values[np.newaxis])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(score["index"]).tobytes())
    return outputs


def run_in_tensorflow(files: list[bytes], inputs: NDArray[Any]) -> list[list[bytes]]:
    """In a child process: with the interpreter that comes with TensorFlow."""
    from edge_melanoma.machine.tensorflow import tf

    kernels = tf.lite.experimental.OpResolverType.AUTO
    return [run(data, kernels, inputs, interpreter_class=tf.lite.Interpreter) for data in files]


@pytest.mark.parametrize("kernels", KERNELS, ids=lambda kernels: str(kernels.name))
def test_outputs_are_equal_bit_for_bit(model: bytes, slimmed: bytes, kernels: Any) -> None:
    inputs = np.random.default_rng(3).integers(-128, 128, (8, 4, 4, CHANNELS), np.int8)
    expected = run(model, kernels, inputs)
    assert len(set(expected)) == len(inputs)
    assert run(slimmed, kernels, inputs) == expected


def test_what_a_channel_needs_is_written_once(model: bytes, slimmed: bytes) -> None:
    # Left over of four vectors of zeros is one, of two kernels one.
    saved = 3 * CHANNELS * 8 + CHANNELS * CHANNELS
    assert len(slimmed) < len(model) - saved
    assert model.count(bytes(CHANNELS * 8)) == 4
    assert slimmed.count(bytes(CHANNELS * 8)) == 1


def test_quantisation_is_as_it_was(model: bytes, slimmed: bytes) -> None:
    tensors = zip(read(model).subgraphs[0].tensors, read(slimmed).subgraphs[0].tensors, strict=True)
    for before, after in tensors:
        assert before.quantization.scale.tolist() == after.quantization.scale.tolist()
        assert before.quantization.zeroPoint.tolist() == after.quantization.zeroPoint.tolist()


def test_tensors_are_named_after_ends_and_layers(slimmed: bytes) -> None:
    names = [tensor.name.decode() for tensor in read(slimmed).subgraphs[0].tensors]
    last = ["p_malignant/kernel", "p_malignant/bias", "p_malignant"]
    assert names == ["image", "first/kernel", "first/bias", "first", *last]


def test_signatures_stay_and_the_converter_s_notes_go(slimmed: bytes) -> None:
    model = read(slimmed)
    (signature,) = model.signatureDefs
    ends = [*signature.inputs, *signature.outputs]
    assert [(end.name, end.tensorIndex) for end in ends] == [(b"image", 0), (b"p_malignant", 6)]
    assert [entry.name for entry in model.metadata] == [b"kept"]
    assert bytes(model.buffers[model.metadata[0].buffer].data) == b"kept"
    assert b"CONVERSION_METADATA" not in slimmed
    assert model.description is None


def test_buffers_lie_on_16_bytes_behind_an_empty_one(slimmed: bytes) -> None:
    assert slimmed[4:8] == b"TFL3"
    model = schema.Model.GetRootAs(slimmed)
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    lengths = [0, CHANNELS**2, CHANNELS * 4, CHANNELS * 4, len(b"kept")]
    assert [buffer.DataLength() for buffer in buffers] == lengths
    for buffer in buffers[1:]:
        place = buffer._tab.Vector(buffer._tab.Offset(4))
        assert place % 16 == 0


def test_slimming_is_deterministic_and_done_once(model: bytes, slimmed: bytes) -> None:
    assert slim_model(model) == slimmed
    assert slim_model(slimmed) == slimmed


def test_names_that_are_taken_get_a_number() -> None:
    maker = ModelMaker()
    maker.graph.tensors[3].name = "net/p_malignant/MatMul;net/p_malignant/BiasAdd"
    names = [tensor.name for tensor in read(slim_model(maker.pack())).subgraphs[0].tensors]
    assert names[1:4] == [b"p_malignant/kernel", b"p_malignant/bias", b"p_malignant:1"]


@pytest.mark.parametrize("data", [b"", b"This is text, and no network."])
def test_garbage_is_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        slim_model(data)
    assert str(caught.value).startswith("The model cannot be read as a .tflite file: ")


def test_weights_outside_of_the_flatbuffer_are_refused() -> None:
    maker = ModelMaker()
    maker.model.buffers[-1].offset = 4096
    with pytest.raises(EdgeMelanomaError) as caught:
        slim_model(maker.pack())
    assert str(caught.value) == (
        "The model keeps its weights outside of the flatbuffer; expected them in its buffers."
    )


@pytest.fixture(scope="module")
def converted(exported_run: TrainedModel) -> bytes:
    """The float32 file of a run as the converter wrote it."""
    return run_in_child(convert_again, exported_run.folder)


def convert_again(folder: Path) -> bytes:
    from edge_melanoma.converters.tflite import convert_network
    from edge_melanoma.network.network import load_network

    network = load_network(open_run(folder))
    return convert_network(network, Mode.FLOAT32)


def test_a_converter_s_file_gets_smaller_and_scores_the_same(
    converted: bytes, exported_run: TrainedModel
) -> None:
    slim = slim_model(converted)
    exported = (exported_run.exports_folder / "model_float32.tflite").read_bytes()
    assert seal_model(slim) == without_metadata(exported)
    # Names of 100 letters, and a buffer for each of 70 activations.
    assert len(slim) <= len(converted) - 10_000
    pictures = np.random.default_rng(4).random((3, 224, 224, 3), np.float32)
    assert run(slim, OpResolverType.AUTO, pictures) == run(converted, OpResolverType.AUTO, pictures)


@pytest.mark.parametrize("mode", ["float32", "float16", "int8"])
def test_an_export_is_as_small_as_it_gets(exported_run: TrainedModel, mode: str) -> None:
    exported = (exported_run.exports_folder / f"model_{mode}.tflite").read_bytes()
    data = without_metadata(exported)
    assert slim_model(data) == data


def test_the_interpreter_of_tensorflow_gives_equal_outputs_too(converted: bytes) -> None:
    inputs = np.random.default_rng(5).random((3, 224, 224, 3), np.float32)
    before, after = run_in_child(run_in_tensorflow, [converted, slim_model(converted)], inputs)
    assert before == after
