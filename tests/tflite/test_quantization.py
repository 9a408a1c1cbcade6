"""Real numbers, integers and scores into each other, on grids that a hand can follow."""

import numpy as np
import pytest

from edge_melanoma.tflite.quantization import ScoreTensor, TensorQuantization, logit, sigmoid

HALVES = TensorQuantization(dtype="int8", scale=0.5, zero_point=3)
FLOAT = TensorQuantization(dtype="float32", scale=0.0, zero_point=0)
PROBABILITY = ScoreTensor(
    name="p_malignant",
    quantization=TensorQuantization(dtype="int8", scale=1 / 256, zero_point=-128),
)
LOGIT = ScoreTensor(
    name="logit", quantization=TensorQuantization(dtype="int8", scale=0.25, zero_point=20)
)


def test_halves_are_rounded_to_even_before_the_zero_point_is_added() -> None:
    # In steps of 0.5 these are -1.5, -0.5, 0.5, 1.5 and 2.4.
    integers = HALVES.quantize(np.array([-0.75, -0.25, 0.25, 0.75, 1.2]))
    assert integers.tolist() == [3 - 2, 3, 3, 3 + 2, 3 + 2]
    assert integers.dtype == np.int8


@pytest.mark.parametrize(
    ("dtype", "lowest", "highest"),
    [("int8", -128, 127), ("uint8", 0, 255), ("int16", -(2**15), 2**15 - 1)],
)
def test_what_is_beyond_the_integers_is_clipped(dtype: str, lowest: int, highest: int) -> None:
    grid = TensorQuantization(dtype=dtype, scale=1.0, zero_point=0)
    values = np.array([-1e9, lowest - 0.6, lowest, highest, highest + 0.6, 1e9])
    assert grid.quantize(values).tolist() == [*[lowest] * 3, *[highest] * 3]


def test_rounding_is_done_in_double_precision() -> None:
    # 2^-25 above 2.5 is lost in float32, where 2.5 would be rounded to the even 2.
    grid = TensorQuantization(dtype="int8", scale=1.0, zero_point=0)
    assert grid.quantize(np.array([2.5 + 2**-25])).tolist() == [3]


def test_a_number_is_its_steps_from_the_zero_point() -> None:
    numbers = HALVES.dequantize(np.array([-128, 3, 4, 127], np.int8))
    assert numbers.tolist() == [-65.5, 0.0, 0.5, 62.0]
    assert numbers.dtype == np.float64


@pytest.mark.parametrize("scale", [1 / 256, 1 / 255, float(np.float32(1 / 255)), 0.3])
@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", -128), ("int8", 17), ("uint8", 0)])
def test_every_integer_survives_the_way_there_and_back(
    dtype: str, scale: float, zero_point: int
) -> None:
    limits = np.iinfo(dtype)
    integers = np.arange(limits.min, limits.max + 1).astype(dtype)
    grid = TensorQuantization(dtype=dtype, scale=scale, zero_point=zero_point)
    assert np.array_equal(grid.quantize(grid.dequantize(integers)), integers)


@pytest.mark.parametrize("scale", [1 / 255, float(np.float32(1 / 255))])
@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", -128), ("uint8", 0)])
def test_a_range_of_0_to_1_makes_every_grey_level_its_own_integer(
    dtype: str, scale: float, zero_point: int
) -> None:
    table = TensorQuantization(dtype=dtype, scale=scale, zero_point=zero_point).pixel_table()
    assert table.dtype == np.dtype(dtype)
    assert table.tolist() == [level + zero_point for level in range(256)]


def test_a_coarse_range_has_a_table_of_256_entries_too() -> None:
    # A scale of 0.5 knows 0, 0.5 and 1: up to level 63 (0.247) it is 0, from 192 (0.753) it is 1.
    table = HALVES.pixel_table()
    assert table.tolist() == [*[3] * 64, *[4] * 128, *[5] * 64]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_float_tensor_takes_and_gives_numbers_as_they_are(dtype: str) -> None:
    plain = TensorQuantization(dtype=dtype, scale=0.0, zero_point=0)
    numbers = np.array([-1.5, 0.0, 0.25, 1000.0])
    assert plain.is_float
    assert plain.quantize(numbers).dtype == np.dtype(dtype)
    assert plain.quantize(numbers).tolist() == numbers.tolist()
    assert plain.dequantize(plain.quantize(numbers)).tolist() == numbers.tolist()


def test_the_float_table_divides_by_255_in_single_precision() -> None:
    table = FLOAT.pixel_table()
    assert table.dtype == np.float32
    assert [float(level) for level in table] == [
        float(np.float32(level) / np.float32(255)) for level in range(256)
    ]


def test_an_integer_tensor_is_no_float() -> None:
    assert not HALVES.is_float
    assert HALVES.as_dict() == {"dtype": "int8", "scale": 0.5, "zero_point": 3}


def test_the_sigmoid_is_that_of_a_hand_and_never_overflows() -> None:
    numbers = np.array([-np.inf, -1e9, -np.log(3), 0.0, np.log(3), 1e9, np.inf])
    expected = [0.0, 0.0, 1 / 4, 1 / 2, 3 / 4, 1.0, 1.0]
    # One exponential, one sum and one quotient: four roundings at most, of numbers below 1.
    assert sigmoid(numbers) == pytest.approx(expected, abs=4 * 2**-53)
    assert sigmoid(np.array([0.0])).tolist() == [0.5]


def test_greater_logits_have_greater_scores_on_every_grid_that_a_file_may_have() -> None:
    # 256 steps of 1/16 and of 1/4 around 0: up to logits of 8 and 32.
    for scale in (1 / 16, 1 / 4):
        scores = sigmoid(np.arange(-128.0, 128.0) * scale)
        assert (np.diff(scores) > 0).all()


def test_the_logit_takes_the_sigmoid_back_and_has_an_end_for_everything() -> None:
    numbers = np.linspace(-12, 12, 97)
    # Half an ulp of 1 in P is 2^-53 / (P (1 - P)) in the logit: 1.8e-11 at 12.
    assert logit(sigmoid(numbers)) == pytest.approx(numbers, abs=1e-10)
    ends = logit(np.array([-0.5, 0.0, 1.0, 1.5]))
    assert ends.tolist() == [-np.inf, -np.inf, np.inf, np.inf]


def test_a_probability_is_read_as_it_is_and_cut_at_0_and_1() -> None:
    assert PROBABILITY.scores(np.array([-128, 0, 127], np.int8)).tolist() == [0, 0.5, 255 / 256]
    beyond = TensorQuantization(dtype="int8", scale=1 / 254, zero_point=-127)
    tensor = ScoreTensor(name="p_malignant", quantization=beyond)
    assert tensor.scores(np.array([-128, 127], np.int8)).tolist() == [0.0, 1.0]


def test_a_logit_goes_through_the_sigmoid_from_its_zero_point() -> None:
    # 20 is a logit of 0; 16 and 24 are one below and above it.
    scores = LOGIT.scores(np.array([16, 20, 24], np.int8))
    assert scores == pytest.approx([1 / (1 + np.e), 0.5, np.e / (1 + np.e)], abs=4 * 2**-53)
    plain = ScoreTensor(name="logit", quantization=FLOAT)
    assert plain.scores(np.array([-1.0, 0.0, 1.0], np.float32)).tolist() == scores.tolist()


def test_only_the_name_logit_means_a_logit() -> None:
    names = ("logit", "p_malignant", "logits", "StatefulPartitionedCall:0", "")
    tensors = [ScoreTensor(name=name, quantization=FLOAT) for name in names]
    assert [tensor.is_logit for tensor in tensors] == [True, False, False, False, False]


@pytest.mark.parametrize("tensor", [PROBABILITY, LOGIT])
def test_every_score_of_a_tensor_is_its_own_nearest_one_to_the_last_bit(
    tensor: ScoreTensor,
) -> None:
    scores = tensor.scores(np.arange(-128, 128).astype(np.int8))
    assert [tensor.nearest_score(score) for score in scores.tolist()] == scores.tolist()


@pytest.mark.parametrize(
    ("tensor", "probability", "integer"),
    [
        # 0.0273 is 6.99 steps of 1/256; the half steps go to the even one.
        (PROBABILITY, 0.0273, 7 - 128),
        (PROBABILITY, 6.5 / 256, 6 - 128),
        (PROBABILITY, 7.5 / 256, 8 - 128),
        # 255/256 is the last step, which stands for all that is above it.
        (PROBABILITY, 0.9999, 127),
        (PROBABILITY, 1.0, 127),
        (PROBABILITY, 0.0, -128),
        # The logit of 0.1 is -2.197, -8.8 steps of a quarter; that of 0.95 is 2.944, 11.8 steps.
        (LOGIT, 0.1, 20 - 9),
        (LOGIT, 0.95, 20 + 12),
        (LOGIT, 1.0, 127),
        (LOGIT, 0.0, -128),
    ],
)
def test_a_probability_is_rounded_to_a_step_of_the_tensor_itself(
    tensor: ScoreTensor, probability: float, integer: int
) -> None:
    (expected,) = tensor.scores(np.array([integer], np.int8)).tolist()
    assert tensor.nearest_score(probability) == expected


@pytest.mark.parametrize("name", ["p_malignant", "logit"])
def test_a_float_tensor_has_room_for_every_probability(name: str) -> None:
    assert ScoreTensor(name=name, quantization=FLOAT).nearest_score(0.0273) == 0.0273
