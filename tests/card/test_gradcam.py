"""Heat lies where the part of the picture is that decides, shown on a network with a known rule."""

import numpy as np
import pytest
from numpy.typing import NDArray
from small_network import make_small_network

from edge_melanoma.card.failures import heat_maps

# The network calls malignant what is green: sigmoid(18 green - 9), and red says nothing.


def half_green() -> NDArray[np.uint8]:
    picture = np.zeros((1, 224, 224, 3), np.uint8)
    picture[:, :, :, 0] = 200
    picture[:, :, 112:, 1] = 255
    return picture


def test_heat_for_malignant_is_where_the_green_is() -> None:
    (heat,) = heat_maps(make_small_network(), half_green(), for_malignant=True)
    assert heat.shape == (224, 224)
    assert heat[:, 160:].min() == pytest.approx(1.0)
    assert heat[:, :64].max() == pytest.approx(0.0, abs=1e-6)


def test_without_anything_that_spoke_for_it_there_is_no_heat() -> None:
    # No layer has a weight that lowers the score where it sees something: benign is the absence.
    (heat,) = heat_maps(make_small_network(), half_green(), for_malignant=False)
    assert heat.max() == pytest.approx(0.0, abs=1e-6)


def test_heat_does_not_vanish_where_the_score_is_one() -> None:
    network = make_small_network()
    head = network.get_layer("p_malignant")
    head.set_weights([np.array([[6000]], np.float32), np.array([-9], np.float32)])
    picture = half_green()
    assert float(network(picture / np.float32(255))[0, 0]) == 1.0
    (heat,) = heat_maps(network, picture, for_malignant=True)
    assert heat.max() == pytest.approx(1.0)


def test_many_pictures_have_each_their_own_heat() -> None:
    pictures = np.concatenate([half_green(), half_green()[:, :, ::-1]] * 10)
    heats = heat_maps(make_small_network(), pictures, for_malignant=True)
    assert heats.shape == (20, 224, 224)
    right, left = heats[::2], heats[1::2]
    assert right[:, :, 160:].min() == left[:, :, :64].min() == pytest.approx(1.0)
    assert max(right[:, :, :64].max(), left[:, :, 160:].max()) == pytest.approx(0.0, abs=1e-6)
