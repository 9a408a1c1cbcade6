"""The parts of a bundle's README and NOTICE that follow from the run."""

from collections.abc import Iterator, Mapping
from typing import Any

from edge_melanoma.data.dataset_card import describe_cards
from edge_melanoma.machine.markdown import insert_between, share_of, table_of, text_of
from edge_melanoma.runs.artifacts import TrainedModel

MODELS, MEASURED, RULES = "models", "measured", "preprocessing"
LICENCE_NOTE = "LICENSE.md"
"""In the run that ships, the licence of its weights."""


def fill_readme(readme: str, info: Mapping[str, Any]) -> str:
    """The README with what model_info.json says between its markers."""
    for name, lines in (
        (MODELS, _model_table(info)),
        (RULES, _rules(info)),
        (MEASURED, _measured_table(info)),
    ):
        readme = insert_between(readme, name=name, text="\n".join(lines) + "\n")
    return readme


def notice_of(run: TrainedModel) -> str:
    """NOTICE: whose work is in the bundle, and what binds the use of the weights."""
    head = (
        "edge-melanoma\n\n"
        "The sources in this bundle are licensed under the Apache License, Version 2.0; see "
        "LICENSE.\nThe weights in the .tflite files are not covered by it.\n\n"
    )
    note = run.folder / LICENCE_NOTE
    if note.is_file():
        return head + note.read_text(encoding="utf-8")
    sets = "\n".join(f"- {line}" for line in describe_cards(run.manifest["dataset"]))
    return (
        f"{head}The weights were trained on these pictures, whose licences bind what may be done "
        f"with the models:\n\n{sets}\n"
    )


def _model_table(info: Mapping[str, Any]) -> list[str]:
    header = ("file", "bytes", "input", "output", "malignant where", "sha256")
    return table_of(header, [_model_row(model) for model in info["models"]])


def _model_row(model: Mapping[str, Any]) -> list[str]:
    given, gives, threshold = model["input"], model["output"], model["threshold"]
    if threshold["integer"] is None:
        rule = f"p >= {threshold['float']:.6g}"
    else:
        rule = f"q >= {threshold['integer']}"
    return [
        f"`{model['file']}`",
        f"{model['size_bytes']:,}",
        f"{given['dtype']} {given['shape']}, `{given['integer_rule']}`",
        f"{gives['dtype']} {gives['shape']}, `{gives['rule']}`",
        f"`{rule}`",
        f"`{model['sha256'][:12]}`",
    ]


def _rules(info: Mapping[str, Any]) -> Iterator[str]:
    rules = info["preprocessing"]
    taken = {"none": "the whole frame", "centre": "its largest centred square"}[rules["crop"]]
    yield (
        f"The photograph upright (EXIF turns {rules['exif_orientation']}), {taken}, resized to "
        f"{rules['width']}x{rules['height']} by `{rules['resize_id']}`, in the colour order "
        f"{rules['colour_order']}."
    )


def _measured_table(info: Mapping[str, Any]) -> Iterator[str]:
    point = info["operating_point"]
    header = ("measured on", "images (malignant)", "recall", "specificity")
    rows = [
        [
            text_of(row["set"]),
            f"{row['images']} ({row['malignant']})",
            share_of(row["recall"], row["recall_interval"]),
            share_of(row["specificity"], row["specificity_interval"]),
        ]
        for row in point["measured"]
    ]
    yield from table_of(header, rows)
    yield ""
    yield (
        f"Measured with `{point['measured_with']}` at its threshold, which was chosen on "
        f"{point['chosen_on']} for a recall of at least {point['min_recall']:g}; shares with 95 % "
        f"intervals."
    )
