"""The network of each variant: where it ends and what of it trains."""

from typing import Any

import numpy as np
import pytest

from edge_melanoma.network.recipes import (
    BACKBONE_LAYERS,
    FULL_RESOLUTION,
    NAMED_DIAGNOSES,
    VARIANTS,
    Variant,
)


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


def test_the_last_stage_of_the_best_recipe_trains_from_block_3_on(whole: Any) -> None:
    from edge_melanoma.network.network import cut_layer, freeze_backbone

    unfrozen = FULL_RESOLUTION.unfrozen_backbone_layers
    assert cut_layer(whole, unfrozen_layers=unfrozen) == "block_2_add"
    freeze_backbone(whole, unfrozen_layers=unfrozen)
    trained = [layer.name for layer in whole.layers if layer.trainable]
    assert trained[0] == "block_3_expand"


@pytest.fixture(scope="module")
def naming() -> Any:
    from edge_melanoma.network.network import build_network

    return build_network(VARIANTS[Variant.BEST], seed=9, image_size=64, names_diagnoses=True)


def test_a_network_that_names_diagnoses_has_their_logits_behind_its_score(naming: Any) -> None:
    from edge_melanoma.network.network import compile_forward

    assert naming.output_shape == (None, 1 + len(NAMED_DIAGNOSES))
    outputs = compile_forward(naming)(np.random.default_rng(0).random((2, 64, 64, 3), np.float32))
    assert ((outputs[:, 0] > 0) & (outputs[:, 0] < 1)).all()
    # Of either sign, and no shares of one.
    assert (outputs[:, 1:] < 0).any()
    assert not np.allclose(outputs[:, 1:].sum(axis=1), 1, atol=1e-3)


def test_without_diagnoses_the_same_weights_give_the_same_score(naming: Any) -> None:
    from edge_melanoma.network.network import arrays_of, compile_forward, without_diagnoses

    pictures = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    plain = without_diagnoses(naming)
    assert plain.output_shape == (None, 1)
    np.testing.assert_array_equal(
        compile_forward(plain)(pictures), compile_forward(naming)(pictures)[:, :1]
    )
    left = arrays_of(naming).keys() - arrays_of(plain).keys()
    assert left == {"diagnosis/kernel", "diagnosis/bias"}
    assert without_diagnoses(plain) is plain


def test_a_network_that_names_diagnoses_has_the_backbone_of_one_that_does_not(naming: Any) -> None:
    from edge_melanoma.network.network import build_network, count_backbone_layers, freeze_backbone

    assert count_backbone_layers(naming) == BACKBONE_LAYERS
    freeze_backbone(naming, unfrozen_layers=0)
    trained = {layer.name for layer in naming.layers if layer.trainable and layer.weights}
    freeze_backbone(naming, unfrozen_layers=BACKBONE_LAYERS)
    assert trained == {"hidden", "p_malignant", "diagnosis"}
    plain = build_network(VARIANTS[Variant.BEST], seed=9, image_size=64)
    for weight, other in zip(plain.get_weights()[:-4], naming.get_weights(), strict=False):
        np.testing.assert_array_equal(weight, other)
