"""The network of each variant: where it ends and what of it trains."""

from typing import Any

import pytest

from edge_melanoma.network.recipes import BACKBONE_LAYERS, VARIANTS, Variant


@pytest.fixture(scope="module")
def whole() -> Any:
    from edge_melanoma.network.network import build_network

    return build_network(VARIANTS[Variant.PARTIAL], seed=7)


@pytest.fixture(scope="module")
def compact() -> Any:
    from edge_melanoma.network.network import build_network

    return build_network(VARIANTS[Variant.COMPACT], seed=8)


def test_the_compact_network_ends_in_block_14_and_trains_from_block_10_on(compact: Any) -> None:
    from edge_melanoma.network.network import cut_layer, freeze_backbone

    names = [layer.name for layer in compact.layers]
    assert names[-5:] == ["block_14_depthwise_relu", "gap", "hidden", "dropout", "p_malignant"]
    tail = VARIANTS[Variant.COMPACT].stages[-1].unfrozen_backbone_layers
    assert cut_layer(compact, unfrozen_layers=tail) == "block_9_add"
    freeze_backbone(compact, unfrozen_layers=tail)
    trained = [layer.name for layer in compact.layers if layer.trainable]
    assert trained == names[names.index("block_10_expand") :]


def test_a_recipe_that_trains_every_layer_of_a_compact_network_has_no_cut(compact: Any) -> None:
    from edge_melanoma.network.network import count_backbone_layers, cut_layer

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
    from edge_melanoma.network.network import count_backbone_layers

    layers = {Variant.COMPACT: count_backbone_layers(compact)}
    assert count_backbone_layers(whole) == BACKBONE_LAYERS
    for variant, spec in VARIANTS.items():
        for stage in spec.stages:
            assert stage.unfrozen_backbone_layers <= layers.get(variant, BACKBONE_LAYERS)
