"""The map between real numbers and integers, on grids that a hand can follow."""

import numpy as np
import pytest

from edge_melanoma.quantization import TensorQuantization

HALVES = TensorQuantization(dtype="int8", scale=0.5, zero_point=3)
FLOAT = TensorQuantization(dtype="float32", scale=0.0, zero_point=0)


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
