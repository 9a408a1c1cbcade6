"""The uint8 file made of an int8 one: the same network, other numbers at its ends."""

import numpy as np
import pytest
from numpy.typing import NDArray
from tflite_files import empty_model

from edge_melanoma.converters.packing import make_uint8_twin
from edge_melanoma.converters.phone.golden_vectors import run_model
from edge_melanoma.data.phantoms import draw_phantom
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.bundled import bundled_model
from edge_melanoma.runtime.names import Kernels
from edge_melanoma.tflite.inspection import inspect_model


@pytest.fixture(scope="module")
def int8() -> bytes:
    return bundled_model().read_bytes()


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    return [draw_phantom(is_malignant=seed % 2 == 0, seed=seed) for seed in range(12)]


@pytest.mark.parametrize("kernels", [Kernels.DEFAULT, Kernels.BUILT_IN])
def test_the_twin_gives_the_same_output_plus_128(
    int8: bytes, pictures: list[NDArray[np.uint8]], kernels: Kernels
) -> None:
    own = run_model(int8, pictures, kernels=kernels)
    twin = run_model(make_uint8_twin(int8), pictures, kernels=kernels)
    assert len(set(own.integers)) > 6
    assert twin.integers == tuple(integer + 128 for integer in own.integers)
    assert twin.scores == own.scores


def test_all_layers_of_the_twin_are_run_by_xnnpack(
    int8: bytes, pictures: list[NDArray[np.uint8]]
) -> None:
    # What makes the views of a picture is not XNNPACK's, in the file that the twin is made of too.
    own, twin = (run_model(data, pictures[:1]) for data in (int8, make_uint8_twin(int8)))
    assert twin.xnnpack_parts == own.xnnpack_parts > 0


def test_only_the_ends_differ_and_the_same_bytes_come_each_time(int8: bytes) -> None:
    own, data = inspect_model(int8), make_uint8_twin(int8)
    twin = inspect_model(data)
    assert data == make_uint8_twin(int8)
    assert len(data) - len(int8) < 1000
    # One step for the picture, one for the score, one for the gate.
    assert twin.operators == {**own.operators, "QUANTIZE": 3}
    assert twin.output_name == own.output_name
    for end, inner in ((twin.input, own.input), (twin.output, own.output)):
        assert (end.dtype, end.scale, end.zero_point) == ("uint8", inner.scale, 0)


def test_a_file_that_is_not_int8_has_no_twin() -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        make_uint8_twin(empty_model(shape=[1, 224, 224, 3]))
    assert str(caught.value) == (
        "A uint8 twin is made of a file with int8 input and output; this one has float32 and "
        "float32."
    )
