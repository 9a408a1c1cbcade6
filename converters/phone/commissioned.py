"""The bundle of a model that was commissioned for a clinic: its own numbers, and whose they are."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edge_melanoma import __version__
from edge_melanoma.converters.phone.bundle import bundle_files, write_bundle
from edge_melanoma.data.crops import Crop
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.commission import Commission
from edge_melanoma.evaluation.subject import Subject
from edge_melanoma.evaluation.thresholds import snap_to_output
from edge_melanoma.runs.converted import ConvertedModel, open_exports
from edge_melanoma.tflite.modes import Mode
from edge_melanoma.tflite.quantization import score_tensor_of

CORRECTION_RULE = "p' = sigmoid(logit(p) / temperature + offset)"


def phone_file_of(path: Path, subject: Subject) -> Path:
    """Of a run the int8 file that would ship, where it has one; else what the person named."""
    if isinstance(subject.model, ConvertedModel):
        return path
    exports = {model.mode: model.path for model in open_exports(subject.model)}
    named = (exports[mode] for mode in (Mode.INT8_QAT, Mode.INT8) if mode in exports)
    return next(named, path)


def refuse_without_bundle(subject: Subject) -> None:
    """Before any work: what a bundle cannot be made of.

    Raises:
        EdgeMelanomaError: no int8 file of a run.
    """
    model = subject.model
    is_int8 = isinstance(model, ConvertedModel) and str(model.mode).startswith(Mode.INT8)
    if not is_int8 or subject.run is None:
        raise EdgeMelanomaError(
            f"--out writes a bundle, which needs the int8 file of a run, and {subject.name} is "
            f"none; export the run with --quantize int8, or leave --out out for the report alone."
        )


def write_commissioned(
    subject: Subject, found: Commission, dataset: Mapping[str, Any], out: Path
) -> dict[str, Any]:
    """Write the bundle with the clinic's point and correction; the JSON of `android`."""
    model, run = subject.model, subject.run
    assert isinstance(model, ConvertedModel)
    assert run is not None
    output = score_tensor_of(model.manifest)
    assert output is not None
    point = snap_to_output(found.point.point, output, found.point.promise).as_dict()
    point |= {
        "source": f"pictures of {dataset['name']}",
        "correction": asdict(found.correction) | {"rule": CORRECTION_RULE},
        "commissioned": {
            "tool": __version__,
            "dataset": {
                name: dataset[name]
                for name in ("name", "images", "benign", "malignant", "fingerprint")
            },
            "shipped_sha256": model.sha256,
            "shipped_threshold": subject.threshold,
        },
    }
    stated = {"threshold": point["threshold"], "operating_point": point}
    commissioned = replace(model, manifest={**model.manifest, **stated})
    return write_bundle(bundle_files(run, commissioned, float16=None, crop=Crop.NONE), out)
