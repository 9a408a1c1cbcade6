"""golden.json: what each step from a picture's file to P(malignant) gives, to the last bit."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from edge_melanoma.data.crops import Crop
from edge_melanoma.data.faults import Measures, measure_faults
from edge_melanoma.data.images import RESIZE_ID, ResizeId, decode_image, resize_image
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.machine.schemas import Count, Inside, Integer, Sha256, Share
from edge_melanoma.runtime.classifiers import SessionPool
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Kernels, Runtime
from edge_melanoma.runtime.trial import choose_runtime
from edge_melanoma.tflite.counts import bins_of, values_of
from edge_melanoma.tflite.gate import GateRule, Placed

SCHEMA = 1
EXACT_FOR = "LiteRT 2.x, CPU, XNNPACK"
SAFETY_FACTOR = 2
"""Other kernels round in yet other places than the two that were measured."""


class Vector(TypedDict):
    """A golden picture, and what each step makes of it."""

    file: Inside
    width: Count
    height: Count
    decoded_sha256: Sha256
    resized_sha256: Sha256
    int8_output: Integer
    uint8_output: Integer
    p_malignant: Share


class Golden(TypedDict):
    """golden.json."""

    resize_id: ResizeId
    crop: Crop
    vectors: list[Vector]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutputs:
    """What a model gives for several pictures: its outputs' integers, P(malignant), distances."""

    integers: tuple[int, ...]
    scores: tuple[float, ...]
    distances: tuple[float | None, ...]
    xnnpack_parts: int


def describe_vectors(
    pictures: Mapping[str, bytes],
    *,
    int8: bytes,
    uint8: bytes,
    gate: GateRule | None,
    counts: Mapping[str, Any] | None,
    crop: Crop,
    size: int,
) -> dict[str, Any]:
    """The content of golden.json for pictures by file name; `counts` is the block of a manifest.

    Raises:
        EdgeMelanomaError: a picture cannot be read, or LiteRT does not run here with XNNPACK.
    """
    upright = {name: decode_image(data, name=name) for name, data in pictures.items()}
    inputs = [prepare_pixels(pixels, crop, size=size) for pixels in upright.values()]
    expected, twin = run_model(int8, inputs, gate=gate), run_model(uint8, inputs)
    if not expected.xnnpack_parts:
        raise EdgeMelanomaError(
            "LiteRT runs without XNNPACK here, whose outputs the golden vectors hold; unset "
            "TF_DISABLE_XNNPACK."
        )
    measured = [measure_faults(one) for one in inputs]
    vectors = [
        {
            "file": name,
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "exif_orientation": _orientation_of(pictures[name]),
            "decoded_sha256": sha256_of(pixels.tobytes()),
            "resized_sha256": sha256_of(resized.tobytes()),
            "int8_output": signed,
            "uint8_output": unsigned,
            "p_malignant": score,
            **({} if gate is None else {"gate_distance": distance}),
            "measures": asdict(measures),
            **_bins(score, distance, measures, gate, counts),
        }
        for (name, pixels), resized, measures, signed, unsigned, score, distance in zip(
            upright.items(),
            inputs,
            measured,
            expected.integers,
            twin.integers,
            expected.scores,
            expected.distances,
            strict=True,
        )
    ]
    return {
        "schema": SCHEMA,
        "resize_id": RESIZE_ID,
        "crop": crop.value,
        "tolerance": {
            "exact_for": EXACT_FOR,
            "other_kernels": _tolerance(int8, inputs, expected.integers),
        },
        "vectors": vectors,
    }


def _bins(
    score: float,
    distance: float | None,
    measures: Measures,
    gate: GateRule | None,
    counts: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Where an app counts the picture, if it can."""
    if gate is None or distance is None or counts is None:
        return {}
    placed = Placed(distance=distance, limit=gate.limit)
    return {"bins": bins_of(values_of(score, placed, measures), counts["edges"])}


def prepare_pixels(pixels: NDArray[np.uint8], crop: Crop, *, size: int) -> NDArray[np.uint8]:
    """An upright picture (height, width, 3) as the network sees it: (size, size, 3)."""
    return resize_image(crop.apply(pixels), size=size)


def run_model(
    data: bytes,
    images: Sequence[NDArray[np.uint8]],
    *,
    kernels: Kernels = Kernels.DEFAULT,
    gate: GateRule | None = None,
) -> ModelOutputs:
    """The outputs of an integer model in LiteRT for pictures (224, 224, 3), in a child process."""
    settings = SessionSettings(
        data=data,
        name="the model",
        runtime=choose_runtime(Runtime.LITERT),
        kernels=kernels,
        gate=gate,
    )
    with SessionPool({settings.name: settings}, workers=1) as pool:
        found = list(pool.map(_run_one, list(images), model=settings.name))
    scores, integers, distances, xnnpack_parts = zip(*found, strict=True)
    return ModelOutputs(
        integers=integers, scores=scores, distances=distances, xnnpack_parts=xnnpack_parts[0]
    )


def _run_one(
    session: TFLiteSession, image: NDArray[np.uint8]
) -> tuple[float, int, float | None, int]:
    score, placed = session.score(image), session.placed()
    distance = placed.distance if placed else None
    return score, int(session.raw_output()[0]), distance, session.xnnpack_parts


def _tolerance(
    data: bytes, images: Sequence[NDArray[np.uint8]], expected: Sequence[int]
) -> dict[str, Any]:
    """In output steps, from what LiteRT's own other kernels give for the same pictures."""
    largest = {}
    for kernels in (Kernels.BUILT_IN, Kernels.REFERENCE):
        found = run_model(data, images, kernels=kernels).integers
        largest[kernels] = int(np.abs(np.subtract(found, expected)).max())
    measured = " and ".join(f"{steps} for its {name} kernels" for name, steps in largest.items())
    return {
        "output_steps": SAFETY_FACTOR * max(1, *largest.values()),
        "derivation": (
            f"The largest differences from XNNPACK on these {len(images)} pictures, in steps of "
            f"1/256, measured with LiteRT: {measured}; {SAFETY_FACTOR} times the larger, "
            f"since kernels of other makers round in yet other places."
        ),
    }


def _orientation_of(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
