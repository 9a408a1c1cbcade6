"""Which operators a phone's accelerators take; the others stay on the CPU.

By the lists that are published. A driver may take fewer, and a graph that is handed over in many
pieces loses its time between them: the phone has the last word (`bench --adb`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

GPU_OPERATORS = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXP FULLY_CONNECTED LOGICAL_AND
    LOGISTIC LSTM MAX_POOL_2D MAXIMUM MINIMUM MUL PAD PRELU RELU RELU6 RESHAPE RESIZE_BILINEAR
    SOFTMAX STRIDED_SLICE SUB TRANSPOSE_CONV
"""
ARM_OPERATORS = """
    ABS ADD ADD_N ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_TO CAST
    CEIL CONCATENATION CONV_2D CONV_3D COS DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE DIV ELU EQUAL
    EXP EXPAND_DIMS FAKE_QUANT FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GELU
    GREATER GREATER_EQUAL HARD_SWISH L2_NORMALIZATION LEAKY_RELU LESS LESS_EQUAL LOG LOG_SOFTMAX
    LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC MAX_POOL_2D MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NEG
    NOT_EQUAL ONE_HOT PACK PAD PADV2 POW PRELU QUANTIZE RANK REDUCE_ALL REDUCE_ANY REDUCE_MAX
    REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SCATTER_ND SELECT SELECT_V2 SHAPE SIGN SIN SLICE
    SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE
    STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV UNPACK WHILE ZEROS_LIKE
"""


class Target(StrEnum):
    """Where a file is to run."""

    CPU = "cpu"
    GPU = "gpu"
    NPU = "npu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """What takes operators, by which list of which day; none where it takes all."""

    name: str
    source: str
    operators: frozenset[str] | None


DELEGATES = {
    Target.CPU: Delegate(name="LiteRT on the CPU", source="LiteRT 2", operators=None),
    Target.GPU: Delegate(
        name="LiteRT's GPU delegate",
        source="the documentation of LiteRT, 2025-07-24",
        operators=frozenset(GPU_OPERATORS.split()),
    ),
    Target.NPU: Delegate(
        name="LiteRT's compiler for Arm NPUs",
        source="the repository of LiteRT, 2026-11",
        operators=frozenset(ARM_OPERATORS.split()),
    ),
}


def left_to_cpu(operators: Mapping[str, int], target: Target) -> dict[str, int]:
    """Of operators, with how many there are, those that a target's delegate does not take."""
    taken = DELEGATES[target].operators
    return {name: n for name, n in operators.items() if taken is not None and name not in taken}
