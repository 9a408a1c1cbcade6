"""Whose weights a network starts from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.network.recipes import VARIANTS, Variant
from edge_melanoma.runs.models import TrainedModel

HEAD = ("hidden", "p_malignant")


@pytest.fixture(scope="module")
def whole() -> Any:
    from edge_melanoma.network.network import build_network

    return build_network(VARIANTS[Variant.PARTIAL], seed=7)


@pytest.fixture(scope="module")
def compact() -> Any:
    from edge_melanoma.network.network import build_network

    return build_network(VARIANTS[Variant.COMPACT], seed=8)


def test_a_file_of_a_whole_backbone_starts_a_compact_one(
    whole: Any, compact: Any, tmp_path: Path
) -> None:
    from edge_melanoma.network.network import arrays_of
    from edge_melanoma.network.starting_weights import load_backbone_weights

    head = {name: array for name, array in arrays_of(compact).items() if name.startswith(HEAD)}
    path = _write_backbone(whole, tmp_path / "whole.h5")
    load_backbone_weights(compact, str(path))
    expected = arrays_of(whole) | head
    for name, array in arrays_of(compact).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_a_file_without_a_layer_of_the_backbone_is_refused(
    whole: Any, compact: Any, tmp_path: Path
) -> None:
    from edge_melanoma.network.starting_weights import load_backbone_weights

    path = _write_backbone(whole, tmp_path / "part.h5", without="block_14_expand/")
    with pytest.raises(EdgeMelanomaError) as caught:
        load_backbone_weights(compact, str(path))
    assert str(caught.value) == (
        f"The weights file {path} does not fit MobileNetV2 alpha 1.0: 'block_14_expand/kernel' "
        "has the shape missing, expected (1, 1, 160, 960)."
    )


def test_a_compact_backbone_starts_as_the_copy_of_a_longer_runs(
    compact: Any, trained_run: TrainedModel
) -> None:
    from safetensors.numpy import load

    from edge_melanoma.network.network import arrays_of
    from edge_melanoma.network.starting_weights import copy_backbone

    before = arrays_of(compact)
    copy_backbone(compact, trained_run)
    theirs = load(trained_run.weights_path.read_bytes())
    for name, array in arrays_of(compact).items():
        expected = before if name.startswith(HEAD) else theirs
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def _write_backbone(network: Any, path: Path, *, without: str = "nothing") -> Path:
    import h5py

    from edge_melanoma.network.network import arrays_of

    with h5py.File(path, "w") as file:
        for name, array in arrays_of(network).items():
            if not name.startswith((*HEAD, without)):
                file[f"{name.split('/')[0]}/{name}:0"] = array
    return path
