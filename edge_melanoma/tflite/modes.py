"""The quantisation modes and the number types at the model's ends."""

from enum import StrEnum

from edge_melanoma.errors import EdgeMelanomaError


class Mode(StrEnum):
    """How the weights and activations of a .tflite file are kept; names the file too."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    DYNAMIC = "dynamic"
    INT8 = "int8"
    INT8_QAT = "int8-qat"
    INT16X8 = "int16x8"

    @property
    def rounds_weights(self) -> bool:
        """Whether weights lose digits, so that biases are corrected on training images."""
        return self is not Mode.FLOAT32

    @property
    def quantises_activations(self) -> bool:
        """Whether activation ranges are measured on training images."""
        return self.is_full_int8 or self is Mode.INT16X8

    @property
    def is_full_int8(self) -> bool:
        """Whether every tensor but the biases is an 8-bit integer."""
        return self in {Mode.INT8, Mode.INT8_QAT}


class InputOutput(StrEnum):
    """The type of the input and output tensor of an int8 model."""

    INT8 = "int8"
    UINT8 = "uint8"
    FLOAT32 = "float32"


class Output(StrEnum):
    """What the output tensor of an int8 model holds."""

    PROBABILITY = "probability"
    """P(malignant) in steps of 1/256."""
    LOGIT = "logit"
    """What the sigmoid would be applied to, in steps of its own: finer where P is near 0 or 1."""
    FLOAT32 = "float32"
    """P(malignant) of a last layer that is not quantised."""


class Backend(StrEnum):
    """Which quantiser makes the file: TensorFlow's converter, or LiteRT's on a float file."""

    CONVERTER = "converter"
    LITERT = "litert"


class Correction(StrEnum):
    """Whether biases make up for what rounding does to the layers' means."""

    LAYERWISE = "layerwise"
    NONE = "none"


MODES_OF = {"none": {Mode.FLOAT32}, **{mode.value: {mode} for mode in Mode}, "all": set(Mode)}


def parse_modes(names: list[str]) -> tuple[Mode, ...]:
    """Modes by the names of `--quantize`, in the order of `Mode`, each once.

    float32 is always among them: it separates what conversion costs from what quantisation costs.
    """
    wanted = {Mode.FLOAT32}
    for name in names:
        if name not in MODES_OF:
            raise EdgeMelanomaError(
                f"--quantize {name} is no mode; expected one of {', '.join(MODES_OF)}."
            )
        wanted |= MODES_OF[name]
    return tuple(mode for mode in Mode if mode in wanted)


def parse_int8_mode(name: str | None) -> Mode | None:
    """The mode of an int8 export by its name; none without one."""
    if name is None:
        return None
    if name not in {Mode.INT8.value, Mode.INT8_QAT.value}:
        raise EdgeMelanomaError(f"--mode {name} is none; expected {Mode.INT8} or {Mode.INT8_QAT}.")
    return Mode(name)
