"""Writes the drop-in bundle of a run: models with metadata, golden vectors, sources, hashes."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import edge_melanoma
from edge_melanoma.converters import metadata, model_info
from edge_melanoma.converters.packing import make_uint8_twin, slim_model, without_gate
from edge_melanoma.converters.phone.golden_vectors import describe_vectors
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.data.cards import describe_cards
from edge_melanoma.data.crops import Crop
from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import json_text, sha256_of, write_atomically
from edge_melanoma.machine.markdown import insert_between, share_of, template_environment, text_of
from edge_melanoma.machine.processes import run_in_child
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.bundled import bundled_run, is_bundled
from edge_melanoma.runs.converted import ConvertedModel, open_converted, open_exports
from edge_melanoma.runs.folders import refuse_unwritable
from edge_melanoma.runs.models import TrainedModel, find_run
from edge_melanoma.tflite.metadata import MODEL_INFO
from edge_melanoma.tflite.modes import Correction, Mode

SOURCES = Path(edge_melanoma.__file__).with_name("android_assets")
"""The hand-written files, in the package; in a checkout a link to its android_assets."""

ASSETS = "app/src/main/assets"
INT8, UINT8, FLOAT16 = (f"{ASSETS}/melanoma_{name}.tflite" for name in ("int8", "uint8", "float16"))
LABELS_FILE = f"{ASSETS}/labels.txt"
MODEL_INFO_FILE = f"{ASSETS}/{MODEL_INFO}"
GOLDEN = "app/src/androidTest/assets/golden"
GOLDEN_FILE = f"{GOLDEN}/golden.json"
README, NOTICE, SUMS = "README.md", "NOTICE", "SHA256SUMS"

GENERATED = (INT8, UINT8, FLOAT16, LABELS_FILE, MODEL_INFO_FILE, GOLDEN_FILE, NOTICE, SUMS)
"""Written from the run; the README is written by hand but for what stands between its markers."""

LEFT_BY_TOOLS = frozenset({"node_modules", "__pycache__", "build", "dist"})

TEMPLATES = Path(__file__).with_name("templates")
README_PARTS = ("models", "preprocessing", "measured")
"""What follows from the run in a bundle's README, between markers of these names."""

LICENCE_NOTE = "LICENSE.md"
"""In the run that ships, the licence of its weights."""

SIDES = re.compile(rb"(?<!\w)%d(x%d)?(?!\w)" % (IMAGE_SIZE, IMAGE_SIZE))

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
    """Write the bundle of a run, or of the model in the package, and say what was written."""
    refuse_full_folder(out, what="bundle", force=force)
    refuse_unwritable(out / SUMS)
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
    run: TrainedModel,
    model: ConvertedModel,
    *,
    float16: model_info.BundledModel | None,
    crop: Crop,
    gates_twin: bool = False,
) -> dict[str, bytes]:
    """Every file of the bundle but SHA256SUMS, by its path, in memory.

    The uint8 twin is for clients that insist on one output, and has no gate unless `gates_twin`.

    Raises:
        EdgeMelanomaError: a model that an app cannot be told how to use, or too large a bundle.
    """
    sources = _read_sources(run.image_size)
    plain = _plain_models(model, float16, gates_twin=gates_twin)
    point = model_info.describe_operating_point(run, model)
    for one in plain:
        model_info.refuse_other_ends(one, image_size=run.image_size)
    info = model_info.describe_models(
        plain, run, crop=crop, operating_point=point, counts=model.manifest.get("counts")
    )
    models = {f"{ASSETS}/{one.file}": model_info.attach_info(one.data, run, info) for one in plain}
    told = model_info.with_hashes(info, {Path(name).name: data for name, data in models.items()})
    readme = sources[README].decode()
    for part in README_PARTS:
        readme = insert_between(readme, name=part, text=_render(part, told))
    files = {
        **sources,
        **models,
        LABELS_FILE: model_info.LABEL_TEXTS[metadata.LABELS],
        MODEL_INFO_FILE: json_text(told).encode(),
        NOTICE: _notice_of(run).encode(),
        README: readme.encode(),
    }
    _refuse_large(files)
    pictures = {
        Path(name).name: data
        for name, data in sources.items()
        if name.startswith(f"{GOLDEN}/") and name.endswith((".png", ".jpg"))
    }
    golden = describe_vectors(
        pictures,
        int8=models[INT8],
        uint8=models[UINT8],
        gate=model.gate,
        counts=model.manifest.get("counts"),
        crop=crop,
        size=run.image_size,
    )
    return {**files, GOLDEN_FILE: json_text(golden).encode()}


def find_or_convert_float16(
    run: TrainedModel, *, with_map: bool = False
) -> model_info.BundledModel:
    """The run's export at its own threshold, or a conversion at the threshold of the network.

    `with_map` asks for the second output, of which the export may have one or not.
    """
    path = run.exports_folder / f"model_{Mode.FLOAT16}.tflite"
    exported, upper = open_converted(path) if path.is_file() else None, None
    if exported is not None and bool(exported.manifest.get("with_map")) == with_map:
        data, threshold = exported.data, float(exported.manifest["threshold"])
        upper = model_info.upper_of(exported.manifest.get("operating_point"))
    else:
        data, threshold = run_in_child(_convert_to_float16, run, with_map=with_map), run.threshold
    return model_info.BundledModel(
        file=Path(FLOAT16).name,
        data=data,
        threshold=threshold,
        threshold_integer=None,
        upper=upper,
    )


def _read_sources(image_size: int) -> dict[str, bytes]:
    """The hand-written files; those that state the side of a picture state that of the network."""
    sources = {name: (SOURCES / name).read_bytes() for name in hand_written_files()}
    if image_size == IMAGE_SIZE:
        return sources
    stated, own = str(IMAGE_SIZE).encode(), str(image_size).encode()
    return {
        name: SIDES.sub(lambda found: found[0].replace(stated, own), data)
        if name.endswith((".kt", ".js", ".html", ".md"))
        else data
        for name, data in sources.items()
    }


def write_bundle(files: Mapping[str, bytes], folder: Path) -> dict[str, Any]:
    """Put a bundle into a folder; in a checkout's own one only generated files are written.

    What is given back is the JSON of `edge-melanoma android`.
    """
    in_place = folder.resolve() == SOURCES.resolve()
    for name, data in files.items():
        if not in_place or name in {*GENERATED, README}:
            write_atomically(folder / name, data)
    for name in {*GENERATED} - {*files, SUMS}:
        (folder / name).unlink(missing_ok=True)
    write_atomically(folder / SUMS, sums_of(files))
    return {
        "schema": 1,
        "bundle": str(folder),
        "files": len(files) + 1,
        "size_bytes": sum(map(len, files.values())),
        "models": json.loads(files[MODEL_INFO_FILE])["models"],
    }


def _plain_models(
    int8: ConvertedModel, float16: model_info.BundledModel | None, *, gates_twin: bool
) -> list[model_info.BundledModel]:
    integer = int(int8.manifest["operating_point"]["integer"])
    upper = model_info.upper_of(int8.manifest["operating_point"])
    if upper and float16 is not None and float16.upper is None:
        raise EdgeMelanomaError(
            f"{int8.path} gives three answers and the float16 model two; export it, and choose its "
            f"thresholds with: edge-melanoma threshold RUN --max-miss SHARE --save."
        )
    twin = int8.data if gates_twin else without_gate(int8.data)
    models = [
        model_info.BundledModel(
            file=Path(name).name,
            data=data,
            threshold=float(int8.manifest["threshold"]),
            threshold_integer=integer + model_info.SHIFTS["int8"] - model_info.SHIFTS[dtype],
            upper=upper and _shifted(upper, dtype),
        )
        for name, dtype, data in (
            (INT8, "int8", int8.data),
            (UINT8, "uint8", make_uint8_twin(twin)),
        )
    ]
    return models if float16 is None else [*models, float16]


def _shifted(upper: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """An int8 file's upper threshold on the output of its twin."""
    integer = int(upper["integer"]) + model_info.SHIFTS["int8"] - model_info.SHIFTS[dtype]
    return {"threshold": upper["threshold"], "integer": integer}


def _convert_to_float16(run: TrainedModel, *, with_map: bool) -> bytes:
    """Biases are not corrected for the rounding, which takes pictures; halves hardly round."""
    from edge_melanoma.converters.gate import attach_gate
    from edge_melanoma.converters.tflite import convert_network
    from edge_melanoma.network.gate import read_gate
    from edge_melanoma.network.network import load_network

    settings = ExportSettings(correction=Correction.NONE, with_map=with_map, views=run.views)
    data = slim_model(convert_network(load_network(run), Mode.FLOAT16, settings=settings))
    gate = read_gate(run)
    return data if gate is None else attach_gate(data, gate)


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
    size = sum(len(data) for name, data in files.items() if name != FLOAT16)
    if size > LARGEST_BUNDLE_BYTES:
        largest = sorted(files, key=lambda name: len(files[name]), reverse=True)[:3]
        raise EdgeMelanomaError(
            f"The bundle would have {size:,} bytes without a float16 model; expected at most "
            f"{LARGEST_BUNDLE_BYTES:,}. Its largest files: {', '.join(largest)}."
        )


def hand_written_files(folder: Path = SOURCES) -> Iterator[str]:
    """Paths below the folder, sorted; no generated ones, none hidden, and no tool's output."""
    if not (folder / README).is_file():
        raise EdgeMelanomaError(
            f"This copy of edge-melanoma holds no Android sources ({folder} is missing); install "
            f"the whole package."
        )
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        ignored = any(part.startswith(".") or part in LEFT_BY_TOOLS for part in place.parts)
        if path.is_file() and not ignored and place.as_posix() not in GENERATED:
            yield place.as_posix()


def sums_of(files: Mapping[str, bytes]) -> str:
    """SHA256SUMS, as `sha256sum --check` reads it."""
    return "".join(f"{sha256_of(files[name])}  {name}\n" for name in sorted(files))


def read_sums(text: str) -> dict[str, str]:
    """The hashes of SHA256SUMS by file."""
    sums = {}
    for line in text.splitlines():
        sha256, _, name = line.partition("  ")
        place = PurePosixPath(name)
        if len(sha256) != 64 or not name or place.is_absolute() or ".." in place.parts:
            raise EdgeMelanomaError(
                f"{SUMS} has the line {line!r}; expected a sha256, two spaces and a path within "
                f"the bundle."
            )
        sums[name] = sha256
    return sums


def refuse_full_folder(folder: Path, *, what: str, force: bool) -> None:
    """Before any work: `what` is to be written into the folder, which must hold no files yet."""
    if folder.exists() and not folder.is_dir():
        raise EdgeMelanomaError(f"{folder} is a file; give a folder with --out.")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise EdgeMelanomaError(
            f"{folder} exists and is not empty; choose another --out, or replace the files of the "
            f"{what} with --force."
        )
