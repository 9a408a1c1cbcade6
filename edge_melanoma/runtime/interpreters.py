"""One model loaded in one of the TFLite interpreters.

A session belongs into a child process: tflite-runtime fails beside an imported TensorFlow, and a
broken model may end the process that runs it. See `machine.processes`.
"""

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.faults import Measures, measure_faults, name_faults
from edge_melanoma.data.images import UnreadableImageError, read_image
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import limit_memory, stderr_discarded
from edge_melanoma.runtime.names import Kernels, Runtime
from edge_melanoma.tflite.ends import (
    PLAIN,
    Ends,
    choose_columns,
    choose_input_range,
    score_of_classes,
)
from edge_melanoma.tflite.gate import GateRule, Placed
from edge_melanoma.tflite.quantization import (
    GATE_NAME,
    LOGIT_NAME,
    MAP_NAME,
    ScoreTensor,
    TensorQuantization,
)

DELEGATE_NODE = "DELEGATE"
LARGEST_SIDE, MOST_CLASSES = 1024, 1000
RESOLVERS = {
    Kernels.BUILT_IN: "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    Kernels.REFERENCE: "BUILTIN_REF",
}
MAP_SHAPE = [1, 7, 7]
"""Of an activation map, which may follow the score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """A model and how to run it; small enough to be sent to a child process."""

    data: bytes
    name: str
    runtime: Runtime
    threads: int = 1
    kernels: Kernels = Kernels.DEFAULT
    ends: Ends = PLAIN
    gate: GateRule | None = None

    def open(self) -> "TFLiteSession":
        """A session in a child process whose memory is limited once the interpreter is there.

        Raises:
            EdgeMelanomaError: as a session does.
        """
        load_interpreter_class(self.runtime)
        limit_memory()
        return TFLiteSession(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """P(malignant), and of a quantised output the integer that says it.

    Of a model with a gate also where the picture lies, and what it measures as it was taken.
    """

    score: float
    integer: int | None
    placed: Placed | None = None
    measures: Measures | None = None

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the picture as it was taken."""
        return name_faults(self.measures) if self.measures else ()


class TFLiteSession:
    """One model in one interpreter, ready for single pictures."""

    def __init__(self, settings: SessionSettings) -> None:
        """Load from bytes: given a path, some interpreters crash on broken files.

        Raises:
            EdgeMelanomaError: the interpreter refuses the file, or it is no lesion classifier.
        """
        self._name = settings.name
        self._interpreter = _make_interpreter(settings)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        count = _refuse_other_networks(inputs, outputs, name=settings.name)
        self._input_index, self._output_index = inputs[0]["index"], outputs[0]["index"]
        self._gate = settings.gate
        self._gate_output = _find_gate(outputs, settings)
        self.input_quantization = quantization_of(inputs[0])
        self.output_quantization = quantization_of(outputs[0])
        ends, data = settings.ends, settings.data
        name = _output_name(self._interpreter.get_signature_list(), outputs[0])
        self.score_tensor = ScoreTensor(
            name=LOGIT_NAME if ends.is_logit else name, quantization=self.output_quantization
        )
        self._columns: tuple[int, ...] = ()
        if count > 1:
            self._columns = choose_columns(count, data, ends, name=settings.name)
        self.image_size = int(inputs[0]["shape"][1])
        black, white = choose_input_range(self.input_quantization, data, ends, name=settings.name)
        self.pixel_table = self.input_quantization.pixel_table(black=black, white=white)

    @property
    def xnnpack_parts(self) -> int:
        """How many stretches of the loaded graph XNNPACK runs; the rest is built-in kernels.

        Asked of the graph itself: the log tells of a delegate even where it takes no operator,
        and XNNPACK is the only one that these interpreters bring.
        """
        operators = self._interpreter._get_ops_details()
        return sum(operator["op_name"] == DELEGATE_NODE for operator in operators)

    def load_image(self, image: NDArray[np.uint8]) -> None:
        """Put a picture (image_size, image_size, 3) into the input tensor."""
        self._load(self._values_of(image))

    def invoke(self) -> None:
        """Run the network on what the input tensor holds."""
        self._interpreter.invoke()

    def raw_output(self) -> NDArray[np.generic]:
        """The output tensor's value as it is, shape (1,), or those of all classes."""
        values: NDArray[np.generic] = self._interpreter.get_tensor(self._output_index).reshape(-1)
        return values

    def score(self, image: NDArray[np.uint8]) -> float:
        """P(malignant) of a picture (image_size, image_size, 3), of a logit too."""
        return self.score_values(self._values_of(image))

    def answer(self, image: NDArray[np.uint8]) -> Answer:
        """The same, and the integer that a quantised output gave."""
        score = self.score(image)
        has_integer = not (self.output_quantization.is_float or self._columns)
        integer = int(self.raw_output()[0]) if has_integer else None
        placed = self.placed()
        measures = None if placed is None else measure_faults(image)
        return Answer(score=score, integer=integer, placed=placed, measures=measures)

    def placed(self) -> Placed | None:
        """Where the picture lies that was run last; none of a model without a gate."""
        if self._gate is None or self._gate_output is None:
            return None
        raw = self._interpreter.get_tensor(self._gate_output["index"])
        values = quantization_of(self._gate_output).dequantize(raw.reshape(1, -1))
        return Placed(distance=float(self._gate.distances(values)[0]), limit=self._gate.limit)

    def score_values(self, values: NDArray[np.generic]) -> float:
        """The same of what the input tensor is to hold, however it was made."""
        self._load(values)
        self.invoke()
        raw = self.raw_output()
        numbers = self.score_tensor.quantization.dequantize(raw)
        score: float | None = None
        if self._columns:
            is_logit, step = self.score_tensor.is_logit, self.output_quantization.scale
            score = score_of_classes(numbers, self._columns, is_logit=is_logit, step=step)
        elif self.score_tensor.holds_score(raw):
            score = float(self.score_tensor.scores(raw)[0])
        if score is None or not np.isfinite(score):
            raise _no_probability(numbers, name=self._name)
        return score

    def _values_of(self, image: NDArray[np.uint8]) -> NDArray[np.generic]:
        """What the pixels become at the input tensor; floats would be cut to other levels."""
        if image.dtype != np.uint8:
            raise EdgeMelanomaError(
                f"A picture is RGB bytes, uint8 from 0 to 255; got {image.dtype}."
            )
        values: NDArray[np.generic] = self.pixel_table.take(image)
        return values

    def _load(self, values: NDArray[np.generic]) -> None:
        expected, shape = self.input_quantization.dtype, (self.image_size, self.image_size, 3)
        if values.dtype != expected or values.shape != shape:
            raise EdgeMelanomaError(
                f"The model's input takes {expected} values of shape {shape}; got "
                f"{values.dtype} of shape {values.shape}."
            )
        self._interpreter.set_tensor(self._input_index, values[np.newaxis])


def _no_probability(numbers: NDArray[np.float64], *, name: str) -> EdgeMelanomaError:
    """With what it usually means."""
    told = ", ".join(f"{number:g}" for number in numbers[:8])
    if not np.all(np.isfinite(numbers)):
        cause = "weights that overflowed or were not finite when it was exported"
    else:
        cause = "if these are logits, give --logit"
    return EdgeMelanomaError(
        f"{name} is no lesion classifier: for a picture it gave {told}, which is no probability; "
        f"{cause}."
    )


def _find_gate(outputs: list[dict[str, Any]], settings: SessionSettings) -> dict[str, Any] | None:
    """The output that the gate is read from; none where no gate is to be read."""
    if settings.gate is None:
        return None
    for details in outputs:
        if _is_gate(details) and int(details["shape"][-1]) == settings.gate.components:
            return details
    raise EdgeMelanomaError(
        f"{settings.name} does not have the {settings.gate.components} outputs of the gate that is "
        f"stated for it, which is that of another model; export it again."
    )


def _is_gate(details: dict[str, Any]) -> bool:
    shape = list(details["shape"])
    return details["name"] == GATE_NAME and len(shape) == 4 and shape[:3] == [1, 1, 1]


def _refuse_other_networks(
    inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], *, name: str
) -> int:
    """How many numbers the output has."""
    shapes = [list(details["shape"]) for details in inputs]
    ends = [list(details["shape"]) for details in outputs if not _is_gate(details)]
    sizes = [int(np.prod(shape)) for shape in ends if shape != MAP_SHAPE]
    side = int(shapes[0][1]) if shapes and len(shapes[0]) == 4 else 0
    fits = shapes == [[1, side, side, 3]] and 0 < side <= LARGEST_SIDE
    if not fits or len(sizes) != 1 or sizes[0] > MOST_CLASSES or ends[0] == MAP_SHAPE:
        raise EdgeMelanomaError(
            f"{name} is not a lesion classifier: expected one input of shape (1, side, side, 3) "
            f"for square pictures and one output, P(malignant) or the classes of a softmax."
        )
    for details in [*inputs, *outputs]:
        dtype = np.dtype(details["dtype"])
        if dtype.kind in "iu" and not details["quantization"][0] > 0:
            raise EdgeMelanomaError(
                f"{name} is not a lesion classifier: its {dtype.name} tensor {details['name']} has "
                f"no scale, so its integers mean nothing."
            )
    return sizes[0]


def _output_name(signatures: dict[str, Any], output: dict[str, Any]) -> str:
    """What the file's signature calls its one score; without such a one, the tensor's name."""
    for one in signatures.values():
        scores = [name for name in one["outputs"] if name not in {GATE_NAME, MAP_NAME}]
        if len(scores) == 1:
            return str(scores[0])
    return str(output["name"])


def _make_interpreter(settings: SessionSettings) -> Any:
    interpreter_class = load_interpreter_class(settings.runtime)
    options: dict[str, Any] = {}
    if settings.kernels is not Kernels.DEFAULT:
        types = importlib.import_module(interpreter_class.__module__).OpResolverType
        options["experimental_op_resolver_type"] = types[RESOLVERS[settings.kernels]]
    try:
        with stderr_discarded():
            interpreter = interpreter_class(
                model_content=settings.data, num_threads=settings.threads, **options
            )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0].rstrip(".")
        raise EdgeMelanomaError(
            f"The interpreter {settings.runtime.value} refuses {settings.name}: {reason}."
        ) from error
    return interpreter


def load_interpreter_class(runtime: Runtime) -> Any:
    """The class `Interpreter` of a runtime.

    Raises:
        ImportError: the runtime is not installed or does not fit the installed NumPy.
    """
    if runtime is Runtime.TF_LITE:
        from edge_melanoma.machine.tensorflow import tf

        return tf.lite.Interpreter
    return importlib.import_module(f"{runtime.value}.interpreter").Interpreter


def xnnpack_is_used(runtime: Runtime) -> bool:
    """Whether the runtime's default path for int8 is XNNPACK; tflite-runtime's is not."""
    return runtime is not Runtime.TFLITE_RUNTIME and not os.environ.get("TF_DISABLE_XNNPACK")


def quantization_of(details: dict[str, Any]) -> TensorQuantization:
    """Type, scale and zero point of a tensor as an interpreter describes it."""
    scale, zero_point = details["quantization"]
    return TensorQuantization(
        dtype=np.dtype(details["dtype"]).name, scale=float(scale), zero_point=int(zero_point)
    )


def answer_file(session: TFLiteSession, file: Path) -> Answer | UnreadableImageError:
    """What an open model says of a picture's file, or why that cannot be read."""
    try:
        return session.answer(read_image(file, size=session.image_size))
    except UnreadableImageError as error:
        return error
