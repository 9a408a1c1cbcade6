"""model_info.json: what an app has to know of the models beside it, as numbers and rules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_melanoma import __version__
from edge_melanoma.converters.metadata import DISPLAY_LABELS, LABELS, attach_metadata
from edge_melanoma.data.crops import Crop
from edge_melanoma.data.images import RESIZE_ID
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.evaluation import WITHOUT_LEAKED
from edge_melanoma.evaluation.metrics import wilson_interval
from edge_melanoma.evaluation.thresholds import describe_rule
from edge_melanoma.machine.files import json_text, sha256_of
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.converted import ConvertedModel
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.results import FileEvaluation
from edge_melanoma.tflite.gate import read_rule
from edge_melanoma.tflite.inspection import SIGMOID_SCALE, ModelFacts, inspect_model
from edge_melanoma.tflite.metadata import MODEL_INFO
from edge_melanoma.tflite.quantization import MAP_NAME, SCORE_NAME, TensorQuantization

SCHEMA = 1
CLASSES = ("benign", "malignant")
DISCLAIMER = (
    "For research only. Not a medical device, not evaluated on patients; no decision about a "
    "person may rest on it."
)
DECISION = "malignant where the output is at or above the threshold"
THREE_ANSWERS = (
    "not flagged below the threshold, flagged from the upper one on, and between them see a doctor "
    "anyway"
)

INPUT_RULES = {"int8": "q = p - 128", "uint8": "q = p", "float32": "p / 255"}
OUTPUT_RULES = {"int8": "p = (q + 128) / 256", "uint8": "p = q / 256", "float32": "p = q"}
ACTIVATION_MAP = {
    "name": MAP_NAME,
    "shape": [1, 7, 7],
    "dtype": "float32",
    "unit": "logit: what is above 0 spoke for malignant",
}
"""The second output of a float16 file that was asked for one."""

LABEL_TEXTS = {LABELS: b"malignant\n", DISPLAY_LABELS: b"Malignant (suspicious of melanoma)\n"}
"""A line for each column of the output, of which there is one."""

SHIFTS = {"int8": 128, "uint8": 0}
"""What is added to an output's integer before it is divided by 256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledModel:
    """A model that is described: its bytes, where it decides, and how it was made."""

    file: str
    data: bytes
    threshold: float
    threshold_integer: int | None
    mode: str | None = None
    upper: Mapping[str, Any] | None = None
    """Where there are three answers, the `upper` of the promise that the manifest has."""


def describe_models(
    models: Sequence[BundledModel],
    run: TrainedModel,
    *,
    crop: Crop,
    operating_point: Mapping[str, Any],
    counts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of model_info.json as it is attached to each model: without hashes and sizes."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "edge-melanoma", "version": __version__},
        "models": [_describe_model(model, run) for model in models],
        "views": run.views,
        "trained_on": sorted(run.manifest["dataset"]["folders"]),
        "preprocessing": {
            "width": run.image_size,
            "height": run.image_size,
            "colour_order": "RGB",
            "exif_orientation": "applied",
            "crop": crop.value,
            "resize_id": RESIZE_ID,
        },
        "labels": list(CLASSES),
        "positive_label": CLASSES[1],
        "decision": DECISION if models[0].upper is None else THREE_ANSWERS,
        "operating_point": dict(operating_point),
        "counts": counts,
        "disclaimer": DISCLAIMER,
    }


def with_hashes(info: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """model_info.json as it lies beside the models, whose final bytes are `files`."""
    models = []
    for model in info["models"]:
        data = files[model["file"]]
        told = {"file": model["file"], "sha256": sha256_of(data), "size_bytes": len(data)}
        models.append(told | model)
    return {**info, "models": models}


def without_hashes(info: Mapping[str, Any]) -> dict[str, Any]:
    """The same as it is attached to each model."""
    models = [
        {key: value for key, value in model.items() if key not in {"sha256", "size_bytes"}}
        for model in info["models"]
    ]
    return {**info, "models": models}


def embed_model_info(
    run: TrainedModel,
    data: bytes,
    *,
    file: str,
    mode: str,
    threshold: float,
    point: Mapping[str, Any] | None,
    counts: Mapping[str, Any] | None = None,
) -> bytes:
    """An export that says of itself where it decides, however it is copied or renamed.

    `point` is the operating point of its manifest; without one it has the network's threshold.
    `counts` is what an app's counts are held against.
    """
    plain = BundledModel(
        file=file,
        data=data,
        threshold=threshold,
        threshold_integer=point["integer"] if point else None,
        mode=mode,
        upper=upper_of(point),
    )
    told = describe_point(run, point, measured_with=file) if point else {}
    info = describe_models([plain], run, crop=Crop.NONE, operating_point=told, counts=counts)
    return attach_info(data, run, info)


def upper_of(point: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The upper threshold of an operating point of three answers: `threshold` and `integer`."""
    promise = (point or {}).get("promise")
    return promise["upper"] if promise else None


def attach_info(data: bytes, run: TrainedModel, info: Mapping[str, Any]) -> bytes:
    """A model with `info` as its model_info.json, labels, and what a person reads of it."""
    return attach_metadata(
        data,
        description=(
            f"P(malignant) of a dermoscopic photograph of a skin lesion: MobileNetV2, recipe "
            f"{run.variant}. {DISCLAIMER}"
        ),
        version=f"{__version__}+{run.sha256[:12]}",
        files={**LABEL_TEXTS, MODEL_INFO: json_text(info).encode()},
    )


def describe_operating_point(run: TrainedModel, model: ConvertedModel) -> dict[str, Any]:
    """What the threshold of a file gives on each set it was measured on.

    That is validation, where it was chosen, and what the file's evaluation holds, if it has one
    beside it: `<file>.evaluation.json`, written by `evaluate --json`.
    """
    point = model.manifest["operating_point"]
    told = describe_point(run, point, measured_with="melanoma_int8.tflite")
    path = model.path.with_suffix(".evaluation.json")
    if path.is_file() and "commissioned" not in point:
        told["measured"] += _measured_in(read_json(path, FileEvaluation), model)
    return told


def describe_point(
    run: TrainedModel, point: Mapping[str, Any], *, measured_with: str
) -> dict[str, Any]:
    """The rule that chose a threshold, and what it gives on validation."""
    benign, malignant = point["benign"], point["malignant"]
    cleared = round(point["specificity"] * benign)
    intervals = {
        "recall": point["recall_interval"],
        "specificity": wilson_interval(cleared, benign),
    }
    counts = {"images": benign + malignant, "benign": benign, "malignant": malignant}
    name = f"{run.manifest['dataset']['name']}, validation side"
    if "commissioned" in point:
        name = point["commissioned"]["dataset"]["name"]
    return {
        "min_recall": point["min_recall"] or point["min_recall_bound"],
        "rule": describe_rule(point),
        "chosen_on": point["source"],
        **{key: point[key] for key in ("promise", "correction", "commissioned") if key in point},
        "measured_with": measured_with,
        "measured": [_row(name, counts, {"metrics": point, "intervals": intervals})],
    }


def describe_gate(run: TrainedModel, facts: ModelFacts) -> dict[str, Any] | None:
    """What is made of a file's gate; none of a file without one."""
    rule = read_rule(run.manifest.get("gate"), source=f"the manifest of {run.folder}")
    return None if rule is None or facts.gate is None else rule.describe(facts.gate)


def _describe_model(model: BundledModel, run: TrainedModel) -> dict[str, Any]:
    facts = inspect_model(model.data)
    rule = OUTPUT_RULES.get(facts.output.dtype) if _gives_steps(facts.output) else None
    image = {"name": "image", "shape": list(facts.input_shape), **facts.input.as_dict()}
    score = {"name": facts.output_name, "shape": [1, 1], **facts.output.as_dict()}
    told = {
        "file": model.file,
        **({"mode": model.mode} if model.mode else {}),
        "input": image | {"integer_rule": INPUT_RULES.get(facts.input.dtype)},
        "output": score | {"rule": rule},
        "threshold": {
            "float": model.threshold,
            "integer": model.threshold_integer,
            **({"upper": _upper(model.upper)} if model.upper else {}),
        },
    }
    if facts.has_map:
        told["activation_map"] = ACTIVATION_MAP
    gate = describe_gate(run, facts)
    return told if gate is None else told | {"gate": gate}


def _upper(upper: Mapping[str, Any]) -> dict[str, Any]:
    return {"float": upper["threshold"], "integer": upper["integer"]}


def refuse_other_ends(model: BundledModel, *, image_size: int) -> None:
    """Raise for a file that an app has no rules for, by its numbers on every grey level."""
    file, facts = model.file, inspect_model(model.data)
    if facts.input_shape != (1, image_size, image_size, 3) or facts.output_name != SCORE_NAME:
        raise EdgeMelanomaError(
            f"{file} takes {list(facts.input_shape)} and gives {facts.output_name}; an app is told "
            f"of [1, {image_size}, {image_size}, 3] and {SCORE_NAME}."
        )
    if not _takes_plain_pixels(facts.input) or not _gives_steps(facts.output):
        image, score = (
            f"{end.dtype}, scale {end.scale:.6g}, zero point {end.zero_point}"
            for end in (facts.input, facts.output)
        )
        raise EdgeMelanomaError(
            f"{file} has an input of {image}, and an output of {score}; an app is told of pixels "
            f"as they are and of P in steps of 1/256. Export it with --quantize int8."
        )


def _takes_plain_pixels(end: TensorQuantization) -> bool:
    if end.dtype not in SHIFTS:
        return end.dtype == "float32"
    return np.array_equal(end.pixel_table().astype(np.int64), np.arange(256) - SHIFTS[end.dtype])


def _gives_steps(end: TensorQuantization) -> bool:
    if end.is_float:
        return end.dtype == "float32"
    return end.scale == SIGMOID_SCALE and end.zero_point == -SHIFTS.get(end.dtype, 1)


def _measured_in(evaluation: Mapping[str, Any], model: ConvertedModel) -> Iterator[dict[str, Any]]:
    """A row a set of an evaluation at the file's own threshold."""
    measured = evaluation["model"]["sha256"], evaluation["threshold"]
    if measured != (model.sha256, model.manifest["threshold"]):
        raise EdgeMelanomaError(
            f"The evaluation beside {model.path} is of another file or threshold; make it again "
            f"with edge-melanoma evaluate --json, or remove it."
        )
    name = evaluation["dataset"]["name"]
    yield _row(name, evaluation["dataset"], evaluation)
    if WITHOUT_LEAKED in evaluation:
        rest = evaluation[WITHOUT_LEAKED]
        yield _row(f"{name} without leaked copies", rest, rest)
    for outside, found in evaluation["external"].items():
        yield _row(f"{outside}, from elsewhere", found["dataset"], found)


def _row(name: str, counts: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    row = {"set": name} | {key: counts[key] for key in ("images", "benign", "malignant")}
    for metric in ("recall", "specificity"):
        row[metric] = _rounded(measured["metrics"][metric])
        row[f"{metric}_interval"] = _rounded(measured["intervals"].get(metric))
    return row


def _rounded(value: Any) -> Any:
    """A share or an interval in six digits: another SciPy's last ones must not change the file."""
    if isinstance(value, float):
        return round(value, 6)
    return None if value is None else [round(bound, 6) for bound in value]
