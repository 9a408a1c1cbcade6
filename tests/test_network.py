"""The network of each variant: where it ends, what of it trains, whose weights it takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.artifacts import TrainedModel
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.variants import BACKBONE_LAYERS, VARIANTS, Variant

HEAD = ("hidden", "p_malignant")


@pytest.fixture(scope="module")
def whole() -> Any:
    from edge_melanoma.network import build_network

    return build_network(VARIANTS[Variant.PARTIAL], seed=7)


@pytest.fixture(scope="module")
def compact() -> Any:
    from edge_melanoma.network import build_network

    return build_network(VARIANTS[Variant.COMPACT], seed=8)


def test_the_compact_network_ends_in_block_14_and_trains_from_block_10_on(compact: Any) -> None:
    from edge_melanoma.network import cut_layer, freeze_backbone

    names = [layer.name for layer in compact.layers]
    assert names[-5:] == ["block_14_depthwise_relu", "gap", "hidden", "dropout", "p_malignant"]
    tail = VARIANTS[Variant.COMPACT].stages[-1].unfrozen_backbone_layers
    assert cut_layer(compact, unfrozen_layers=tail) == "block_9_add"
    freeze_backbone(compact, unfrozen_layers=tail)
    trained = [layer.name for layer in compact.layers if layer.trainable]
    assert trained == names[names.index("block_10_expand") :]


def test_a_recipe_that_trains_every_layer_of_a_compact_network_has_no_cut(compact: Any) -> None:
    from edge_melanoma.network import count_backbone_layers, cut_layer

    layers = count_backbone_layers(compact)
    assert cut_layer(compact, unfrozen_layers=layers) is None
    assert cut_layer(compact, unfrozen_layers=layers - 1) == "image"


def test_the_compact_network_has_two_fifths_of_the_weights(whole: Any, compact: Any) -> None:
    kernels = {
        name: sum(array.size for array in arrays if array.ndim > 1)
        for name, arrays in (("whole", whole.get_weights()), ("compact", compact.get_weights()))
    }
    # A byte each in int8: what is left of 1,200,000 is for 11,000 channels and the file's own.
    assert kernels == {"whole": 2_353_728, "compact": 902_784}


def test_no_stage_trains_more_layers_than_its_backbone_has(whole: Any, compact: Any) -> None:
    from edge_melanoma.network import count_backbone_layers

    layers = {Variant.COMPACT: count_backbone_layers(compact)}
    assert count_backbone_layers(whole) == BACKBONE_LAYERS
    for variant, spec in VARIANTS.items():
        for stage in spec.stages:
            assert stage.unfrozen_backbone_layers <= layers.get(variant, BACKBONE_LAYERS)


def test_a_file_of_a_whole_backbone_starts_a_compact_one(
    whole: Any, compact: Any, tmp_path: Path
) -> None:
    from edge_melanoma.network import arrays_of, load_backbone_weights

    head = {name: array for name, array in arrays_of(compact).items() if name.startswith(HEAD)}
    path = _write_backbone(whole, tmp_path / "whole.h5")
    load_backbone_weights(compact, str(path))
    expected = arrays_of(whole) | head
    for name, array in arrays_of(compact).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_a_file_without_a_layer_of_the_backbone_is_refused(
    whole: Any, compact: Any, tmp_path: Path
) -> None:
    from edge_melanoma.network import load_backbone_weights

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

    from edge_melanoma.network import arrays_of, copy_backbone

    before = arrays_of(compact)
    copy_backbone(compact, trained_run)
    theirs = load(trained_run.weights_path.read_bytes())
    for name, array in arrays_of(compact).items():
        expected = before if name.startswith(HEAD) else theirs
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def _write_backbone(network: Any, path: Path, *, without: str = "nothing") -> Path:
    import h5py

    from edge_melanoma.network import arrays_of

    with h5py.File(path, "w") as file:
        for name, array in arrays_of(network).items():
            if not name.startswith((*HEAD, without)):
                file[f"{name.split('/')[0]}/{name}:0"] = array
    return path
