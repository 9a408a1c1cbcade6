"""Keras files of every kind become one network with the scores of their own; others are refused."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.ends import RANGES, Ends

h5py = pytest.importorskip("h5py", reason="the extra train is not installed")

# A notebook, in either Keras: it makes models as people do, random weights and statistics in all of
# them, and stores what they say of a few pictures. It runs in a process of its own, since Keras 3
# and tf_keras do not live together in one.
NOTEBOOK = """
import sys
import numpy as np
keras = __import__(sys.argv[1])
layers, folder, rng = keras.layers, sys.argv[2], np.random.default_rng(5)
preprocess = keras.applications.mobilenet_v2.preprocess_input
images = np.load(folder + "/images.npy").astype("float32")

def fan_in(shape):
    depthwise = len(shape) == 4 and shape[-1] == 1
    return 9 if depthwise else max(1, np.prod(shape[:-1]))

def backbone(**settings):
    shape = (96, 96, 3)
    return keras.applications.MobileNetV2(
        shape, include_top=False, weights=None, alpha=0.35, **settings
    )

def nested_sequential():
    return keras.Sequential([
        keras.Input((96, 96, 3)), layers.RandomFlip(), layers.Rescaling(1 / 255), backbone(),
        layers.GlobalAveragePooling2D(), layers.Dense(32, activation="relu"), layers.Dropout(0.3),
        layers.Dense(1, activation="sigmoid"),
    ])

def nested_functional():
    image = keras.Input((96, 96, 3))
    features = backbone()(preprocess(image), training=False)
    features = layers.GlobalAveragePooling2D()(features)
    return keras.Model(image, layers.Dense(2, activation="softmax")(features))

def flat():
    base = backbone(pooling="avg")
    logits = layers.Dense(7)(layers.Dropout(0.2)(base.output))
    return keras.Model(base.input, layers.Activation("softmax")(logits))

scores = {}
for make in (nested_sequential, nested_functional, flat):
    model, name = make(), make.__name__
    model.set_weights([
        (1 + 0.3 * rng.random(w.shape) if "variance" in v.name or "gamma" in v.name
         else rng.normal(0, (2 / fan_in(w.shape)) ** 0.5, w.shape)).astype("float32")
        for v, w in zip(model.weights, model.get_weights())
    ])
    model.compile("adam", "mse")
    fed = images / 127.5 - 1 if name == "flat" else images
    scores[name] = model.predict(fed, verbose=0)
    for ending in (".keras", ".h5", ".weights.h5"):
        save = model.save_weights if "weights" in ending else model.save
        save(f"{folder}/{name}{ending}")
np.savez(folder + "/scores.npz", **scores)
"""
MALIGNANT = {"nested_sequential": (0,), "nested_functional": (1,), "flat": (4, 6)}
ENDINGS = (".keras", ".h5", ".weights.h5")
FILES = [
    pytest.param(name, ending, marks=() if number % 4 == 0 else pytest.mark.thorough)
    for number, (name, ending) in enumerate(product(MALIGNANT, ENDINGS))
]
"""Every kind of model in every format: each once in the everyday tests."""


@pytest.fixture(
    scope="module", params=["keras", pytest.param("tf_keras", marks=pytest.mark.thorough)]
)
def notebook(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what one Keras has saved."""
    pytest.importorskip(request.param, reason="the extra train is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    rng = np.random.default_rng(1)
    patches = rng.integers(0, 256, (4, 3, 3, 3), dtype=np.uint8)
    np.save(folder / "images.npy", patches.repeat(32, axis=1).repeat(32, axis=2))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    script = folder / "notebook.py"
    script.write_text(NOTEBOOK, encoding="utf-8")
    command = [sys.executable, str(script), request.param, str(folder)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(("name", "ending"), FILES)
def test_a_file_becomes_a_network_with_the_notebooks_own_scores(
    name: str, ending: str, notebook: Path
) -> None:
    from edge_melanoma.network.keras_models import read_keras_model
    from edge_melanoma.network.network import assign_arrays, build_network

    path = notebook / f"{name}{ending}"
    expected = np.load(notebook / "scores.npz")[name][:, MALIGNANT[name]].sum(axis=1)
    ends, size = _told(name, ending)
    imported = read_keras_model(path, ends, image_size=size)
    network = build_network(imported.spec)
    assign_arrays(network, imported.arrays, source=path)
    images = np.load(notebook / "images.npy").astype(np.float32) / 255
    found = network(images, training=False).numpy()[:, 0]
    assert np.ptp(expected) > 1e-4
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (imported.spec.shape.alpha, imported.spec.shape.image_size) == (0.35, 96)
    assert imported.spec.dense_units == (32 if name == "nested_sequential" else 0)


def _told(name: str, ending: str) -> tuple[Ends, int | None]:
    """What a person has to say: of weights alone all, of a whole model what it does not hold."""
    words = () if name == "nested_sequential" else tuple(map(str, MALIGNANT[name]))
    fed = {"nested_sequential": "0..1", "nested_functional": "-1..1", "flat": "-1..1"}[name]
    alone = ending == ".weights.h5"
    range_ = RANGES[fed] if alone or name == "flat" else None
    return Ends(input_range=range_, malignant=words), 96 if alone else None


def test_a_score_of_class_0_is_turned_round(notebook: Path) -> None:
    from edge_melanoma.network.keras_models import read_keras_model

    path = notebook / "nested_sequential.keras"
    plain, turned = (
        read_keras_model(path, Ends(malignant=words)).arrays["p_malignant/kernel"]
        for words in ((), ("0",))
    )
    np.testing.assert_array_equal(turned, -plain)


REFUSED: dict[str, tuple[str, Ends, str]] = {
    "range": ("flat", Ends(malignant=("4",)), "it does not tell which numbers stood for black"),
    "class": ("nested_functional", Ends(), "it does not tell which of its 2 outputs are"),
    "no such class": ("nested_functional", Ends(malignant=("2",)), "is to name some of 0 to 1"),
    "all classes": ("nested_functional", Ends(malignant=("0", "1")), "is to name some of 0 to"),
    "word": ("nested_functional", Ends(malignant=("mel",)), "is to name some of 0 to 1"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_file_does_not_tell_is_asked_for(what: str, notebook: Path) -> None:
    from edge_melanoma.network.keras_models import read_keras_model

    name, ends, reason = REFUSED[what]
    with pytest.raises(EdgeMelanomaError) as caught:
        read_keras_model(notebook / f"{name}.keras", ends)
    assert str(caught.value).startswith(f"{notebook / name}.keras cannot be imported: ")
    assert reason in str(caught.value)


def test_weights_alone_need_the_size_of_the_pictures(notebook: Path) -> None:
    from edge_melanoma.network.keras_models import read_keras_model

    ends = Ends(input_range=RANGES["0..1"])
    with pytest.raises(EdgeMelanomaError, match="give --image-size N"):
        read_keras_model(notebook / "nested_sequential.weights.h5", ends)


def _change(name: str, **settings: Any) -> Callable[[Any], None]:
    """Another setting of the layer of that name."""

    def change(model: Any) -> None:
        for layer in _layers(model):
            if layer["config"].get("name") == name:
                layer["config"].update(settings)

    return change


def _layers(model: Any) -> list[Any]:
    found = []
    for layer in model["config"]["layers"]:
        found += [layer, *(_layers(layer) if "layers" in layer["config"] else [])]
    return found


def _make_lambda(model: Any) -> None:
    model["config"]["layers"][1].update(class_name="Lambda")


def _make_small(model: Any) -> None:
    model["config"]["layers"][0]["config"].update(batch_shape=[None, 64, 64, 3])


def _leave_out(model: Any) -> None:
    del model["config"]["layers"][4]


def _another_backbone(model: Any) -> None:
    (inner,) = [layer for layer in model["config"]["layers"] if "layers" in layer["config"]]
    inner["config"]["layers"][1]["class_name"] = "SeparableConv2D"


MISFITS: dict[str, tuple[Callable[[Any], None], str]] = {
    "stride": (
        _change("block_6_depthwise", strides=[1, 1]),
        "its layer block_6_depthwise (DepthwiseConv2D) has strides [1, 1], expected [2, 2]",
    ),
    "epsilon": (
        _change("block_2_project_BN", epsilon=1e-5),
        "its layer block_2_project_BN (BatchNormalization) has epsilon 1e-05, expected 0.001",
    ),
    "activation": (
        _change("Conv1", activation="tanh"),
        "its layer Conv1 (Conv2D) has activation tanh, expected linear",
    ),
    "function": (
        _make_lambda,
        "its layer random_flip (Lambda) stands where Conv1 (Conv2D) is expected",
    ),
    "other network": (
        _another_backbone,
        "its layer Conv1 (SeparableConv2D) stands where Conv1 (Conv2D) is expected",
    ),
    "no pooling": (_leave_out, "its layer dense (Dense) is of no head that is known"),
    "head": (_change("dense", activation="elu"), "its head has dense with elu, dense_1 with"),
    "size": (_make_small, "pictures of 64 x 64"),
    "nonsense": (lambda model: model["config"].update(layers=[3]), "is no readable"),
}


@pytest.mark.parametrize("what", MISFITS)
@pytest.mark.parametrize("notebook", ["keras"], indirect=True)
def test_the_first_layer_that_does_not_fit_is_named(
    what: str, notebook: Path, tmp_path: Path
) -> None:
    from edge_melanoma.network.keras_models import read_keras_model

    change, reason = MISFITS[what]
    path = tmp_path / "changed.keras"
    _rewrite(notebook / "nested_sequential.keras", path, change)
    with pytest.raises(EdgeMelanomaError) as caught:
        read_keras_model(path, Ends())
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert str(caught.value).count("\n") == 0


def _rewrite(source: Path, target: Path, change: Callable[[Any], None]) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                model = json.loads(data)
                change(model)
                data = json.dumps(model).encode()
            new.writestr(name, data)


@pytest.mark.thorough
@pytest.mark.parametrize("notebook", ["tf_keras"], indirect=True)
def test_numbers_that_are_not_finite_are_named(notebook: Path, tmp_path: Path) -> None:
    from edge_melanoma.network.keras_models import read_keras_model

    path = tmp_path / "broken.h5"
    path.write_bytes((notebook / "nested_functional.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file["model_weights/mobilenetv2_0.35_96/block_3_project/kernel:0"][0, 0, 0, 0] = np.nan
    with pytest.raises(EdgeMelanomaError) as caught:
        read_keras_model(path, Ends(malignant=("1",)))
    assert str(caught.value).startswith(
        f"The weights file {path} holds numbers in block_3_project/kernel that are not finite"
    )


@pytest.mark.thorough
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_backbone_of_such_a_file_starts_a_training(ending: str, notebook: Path) -> None:
    """Of another width it is refused by its shape, not as a file that cannot be read."""
    from edge_melanoma.network.network import arrays_of, build_network
    from edge_melanoma.network.recipes import VARIANTS, Shape, Variant
    from edge_melanoma.network.starting_weights import load_backbone_weights

    path = notebook / f"nested_sequential{ending}"
    with pytest.raises(EdgeMelanomaError, match=r"does not fit MobileNetV2 alpha 1\.0"):
        load_backbone_weights(build_network(VARIANTS[Variant.FROZEN]), str(path))
    narrow = build_network(replace(VARIANTS[Variant.FROZEN], shape=Shape(alpha=0.35)))
    before = arrays_of(narrow)
    load_backbone_weights(narrow, str(path))
    after: dict[str, NDArray[np.float32]] = arrays_of(narrow)
    same = {name for name in after if np.array_equal(before[name], after[name])}
    assert {name.split("/")[0] for name in same} == {"hidden", "p_malignant"}
