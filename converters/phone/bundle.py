"""Writes the drop-in bundle of a run: models with metadata, golden vectors, sources, hashes."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from edge_melanoma.converters import metadata, model_info
from edge_melanoma.converters.phone import layout
from edge_melanoma.converters.phone.golden_vectors import describe_vectors
from edge_melanoma.converters.phone.twins import find_or_convert_float16, make_uint8_twin
from edge_melanoma.data.cards import describe_cards
from edge_melanoma.data.crops import Crop
from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import json_text, write_atomically
from edge_melanoma.machine.markdown import insert_between, share_of, template_environment, text_of
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.bundled import bundled_run, is_bundled
from edge_melanoma.runs.folders import refuse_unwritable
from edge_melanoma.runs.models import (
    ConvertedModel,
    TrainedModel,
    find_run,
    open_exports,
)
from edge_melanoma.tflite.model_info import MODEL_INFO
from edge_melanoma.tflite.modes import Mode

TEMPLATES = Path(__file__).with_name("templates")
README_PARTS = ("models", "preprocessing", "measured")
"""What follows from the run in a bundle's README, between markers of these names."""

LICENCE_NOTE = "LICENSE.md"
"""In the run that ships, the licence of its weights."""

LARGEST_BUNDLE_BYTES = 8_000_000
"""Of all files but the float16 model, which is there on request only."""


def bundle_run(
    folder: Path | None,
    out: Path,
    *,
    mode: Mode | None,
    crop: Crop,
    with_float16: bool,
    with_map: bool,
    force: bool,
) -> dict[str, Any]:
    """Write the bundle of a run, or of the model in the package, and say what was written.

    Raises:
        EdgeMelanomaError: the folder holds files already and `force` is off; there is no int8
            export, or one that an app cannot be told how to use; too large a bundle.
    """
    layout.refuse_full_folder(out, what="bundle", force=force)
    refuse_unwritable(out / layout.SUMS)
    run = find_run_to_bundle(folder)
    model = choose_int8_export(run, mode)
    TerminalReporter().say(f"Bundling {model.path}")
    float16 = find_or_convert_float16(run, with_map=with_map) if with_float16 else None
    return write_bundle(bundle_files(run, model, float16=float16, crop=crop), out)


def find_run_to_bundle(folder: Path | None) -> TrainedModel:
    """A run to be read alone: the model in the package is not unpacked."""
    return bundled_run() if is_bundled(folder) else find_run(folder)


def choose_int8_export(run: TrainedModel, mode: Mode | None) -> ConvertedModel:
    """The run's int8 file in one mode; without it int8-qat where there is one, else int8.

    Raises:
        EdgeMelanomaError: there is none, or it has no operating point of its own.
    """
    wanted = (mode,) if mode else (Mode.INT8_QAT, Mode.INT8)
    exports = {model.mode: model for model in open_exports(run)}
    found = [exports[name] for name in wanted if name in exports]
    if not found:
        raise EdgeMelanomaError(
            f"{run.folder} has no {' or '.join(reversed(wanted))} export; make one with: "
            f"edge-melanoma export {run.folder} --quantize {wanted[0]}."
        )
    if found[0].manifest.get("operating_point") is None:
        raise EdgeMelanomaError(
            f"{found[0].path} has no operating point of its own, which is chosen on the run's "
            f"validation pictures; export it again where they are, with --force."
        )
    return found[0]


def bundle_files(
    run: TrainedModel, model: ConvertedModel, *, float16: model_info.BundledModel | None, crop: Crop
) -> dict[str, bytes]:
    """Every file of the bundle but SHA256SUMS, by its path, in memory.

    Raises:
        EdgeMelanomaError: a model that an app cannot be told how to use, or too large a bundle.
    """
    sources = {name: (layout.SOURCES / name).read_bytes() for name in layout.hand_written_files()}
    plain = _plain_models(model, float16)
    point = model_info.describe_operating_point(run, model)
    for one in plain:
        model_info.refuse_other_ends(one)
    info = model_info.describe_models(plain, run, crop=crop, operating_point=point)
    attached = {**model_info.LABEL_TEXTS, MODEL_INFO: json_text(info).encode()}
    text = model_info.describe_text(run)
    attach = partial(metadata.attach_metadata, text=text, size=IMAGE_SIZE, files=attached)
    models = {f"{layout.ASSETS}/{one.file}": attach(one.data) for one in plain}
    told = model_info.with_hashes(info, {Path(name).name: data for name, data in models.items()})
    readme = sources[layout.README].decode()
    for part in README_PARTS:
        readme = insert_between(readme, name=part, text=_render(part, told))
    files = {
        **sources,
        **models,
        layout.LABELS_FILE: model_info.LABEL_TEXTS[metadata.LABELS],
        layout.MODEL_INFO_FILE: json_text(told).encode(),
        layout.NOTICE: _notice_of(run).encode(),
        layout.README: readme.encode(),
    }
    _refuse_large(files)
    pictures = {Path(name).name: data for name, data in sources.items() if layout.is_picture(name)}
    golden = describe_vectors(
        pictures, int8=models[layout.INT8], uint8=models[layout.UINT8], crop=crop
    )
    return {**files, layout.GOLDEN_FILE: json_text(golden).encode()}


def write_bundle(files: Mapping[str, bytes], folder: Path) -> dict[str, Any]:
    """Put a bundle into a folder; in a checkout's own one only generated files are written.

    What is given back is the JSON of `edge-melanoma android`.
    """
    in_place = folder.resolve() == layout.SOURCES.resolve()
    for name, data in files.items():
        if not in_place or name in {*layout.GENERATED, layout.README}:
            write_atomically(folder / name, data)
    for name in {*layout.GENERATED} - {*files, layout.SUMS}:
        (folder / name).unlink(missing_ok=True)
    write_atomically(folder / layout.SUMS, layout.sums_of(files))
    return {
        "schema": 1,
        "bundle": str(folder),
        "files": len(files) + 1,
        "size_bytes": sum(map(len, files.values())),
        "models": json.loads(files[layout.MODEL_INFO_FILE])["models"],
    }


def _plain_models(
    int8: ConvertedModel, float16: model_info.BundledModel | None
) -> list[model_info.BundledModel]:
    integer = int(int8.manifest["operating_point"]["integer"])
    models = [
        model_info.BundledModel(
            file=Path(name).name,
            data=data,
            threshold=float(int8.manifest["threshold"]),
            threshold_integer=integer + model_info.SHIFTS["int8"] - model_info.SHIFTS[dtype],
        )
        for name, dtype, data in (
            (layout.INT8, "int8", int8.data),
            (layout.UINT8, "uint8", make_uint8_twin(int8.data)),
        )
    ]
    return models if float16 is None else [*models, float16]


def _notice_of(run: TrainedModel) -> str:
    """NOTICE: whose work is in the bundle, and what binds the use of the weights."""
    note = run.folder / LICENCE_NOTE
    if note.is_file():
        return _render("notice", {"licence": note.read_text(encoding="utf-8")})
    return _render("notice", {"licence": "", "cards": describe_cards(run.manifest["dataset"])})


def _render(part: str, values: Mapping[str, Any]) -> str:
    environment = template_environment(TEMPLATES)
    environment.filters |= {"text": text_of, "share": share_of}
    template = environment.get_template("bundle.md.j2")
    return "".join(template.blocks[part](template.new_context(dict(values))))


def _refuse_large(files: Mapping[str, bytes]) -> None:
    size = sum(len(data) for name, data in files.items() if name != layout.FLOAT16)
    if size > LARGEST_BUNDLE_BYTES:
        largest = sorted(files, key=lambda name: len(files[name]), reverse=True)[:3]
        raise EdgeMelanomaError(
            f"The bundle would have {size:,} bytes without a float16 model; expected at most "
            f"{LARGEST_BUNDLE_BYTES:,}. Its largest files: {', '.join(largest)}."
        )
