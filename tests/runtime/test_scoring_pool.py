"""Several models over the same pixels in one pool: each its own scores, in order."""

from pathlib import Path

import numpy as np
import pytest
from tflite_files import mean_model

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runtime.classifiers import CHUNK, DecodedImages, ScoringPool
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime

COUNT = 2 * CHUNK + 1


def settings_of(data: bytes, name: str) -> SessionSettings:
    return SessionSettings(data=data, name=name, runtime=Runtime.LITERT)


@pytest.fixture
def images(tmp_path: Path) -> DecodedImages:
    """Grey pictures, each lighter than the one before."""
    path = tmp_path / "images.uint8"
    greys = np.linspace(0, 255, COUNT).astype(np.uint8)
    path.write_bytes(np.repeat(greys, 224 * 224 * 3).tobytes())
    return DecodedImages(path=path, count=COUNT)


def test_each_model_gives_its_own_scores_in_the_order_of_the_pictures(
    images: DecodedImages,
) -> None:
    models = {
        name: settings_of(mean_model(tensor="", signature=name), name)
        for name in ("p_malignant", "logit")
    }
    with ScoringPool(models, images, workers=2) as pool:
        found = {name: list(pool.stream_scores(name)) for name in (*models, "p_malignant")}
    for name, settings in models.items():
        session = TFLiteSession(settings)
        assert found[name] == [session.score(image) for image in images.open()]
    assert found["p_malignant"] != found["logit"]
    assert found["p_malignant"] == sorted(found["p_malignant"])


def test_a_refused_model_is_one_sentence_and_leaves_the_others(images: DecodedImages) -> None:
    good = settings_of(mean_model(tensor="", signature="p_malignant"), "good.tflite")
    models = {"bad": settings_of(b"These are notes.", "bad.tflite"), "good": good}
    with ScoringPool(models, images, workers=1) as pool:
        with pytest.raises(EdgeMelanomaError) as caught:
            list(pool.stream_scores("bad"))
        assert str(caught.value).startswith("The interpreter ai_edge_litert refuses bad.tflite: ")
        assert len(list(pool.stream_scores("good"))) == COUNT
