"""The model card: what a run holds, and its judged pictures looked at again, as one Markdown page.

Each part of `card.md.j2` names the items of the checklist CLAIM that it answers; `claim.toml` lists
them. Every value is escaped when it is filled in, unless the template calls it safe.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from rich.table import Table

from edge_melanoma.card import subgroups
from edge_melanoma.card.failures import Failure, SheetMaker
from edge_melanoma.card.traits import read_traits
from edge_melanoma.data.images import read_image_bytes
from edge_melanoma.data.labels import AS_FOUND, Reading
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.listing import list_lesions
from edge_melanoma.data.sets import refuse_training_sets
from edge_melanoma.data.splits import fingerprint_of
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.evaluation import WITHOUT_LEAKED
from edge_melanoma.evaluation.judged_pictures import learned_by_run, read_external_sets
from edge_melanoma.evaluation.predictions import PredictionSet, read_predictions
from edge_melanoma.evaluation.promises import describe_promise
from edge_melanoma.evaluation.risk_coverage import HEADER, risk_cells
from edge_melanoma.machine.files import sha256_of, write_atomically, write_json
from edge_melanoma.machine.markdown import share_of, table_of, template_environment, text_of
from edge_melanoma.machine.schemas import LARGEST_LIST_BYTES, read_json
from edge_melanoma.machine.terminal import (
    Reporter,
    TerminalReporter,
    next_lines,
    print_lines,
    print_table,
    results_console,
)
from edge_melanoma.network.network import load_network
from edge_melanoma.network.recipes import NAMED_WEIGHTS, Variant
from edge_melanoma.runs.bundled import find_own_run
from edge_melanoma.runs.folders import hold_run, refuse_unwritable
from edge_melanoma.runs.manifests import ExportManifest, read_split
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.runs.parity import Parity
from edge_melanoma.runs.pictures import (
    describe_own_side,
    find_external,
    leaked_test_of,
    read_side,
)
from edge_melanoma.runs.results import read_evaluation
from edge_melanoma.training.record import record_files, score_external_sets

CARD, SUBGROUPS, FAILURES = "MODEL_CARD.md", "subgroups.json", "failures"
FOLDER = Path(__file__).parent
TEST_SIDE = "test"
SIDES = ("train", "validation", TEST_SIDE, WITHOUT_LEAKED)
DARKER_TONES = ("tan", "brown", "dark")

CLAIM = tomllib.loads((FOLDER / "claim.toml").read_text(encoding="utf-8"))
ITEMS_2020 = range(1, CLAIM["edition_2020"] + 1)
ITEMS_2024 = {int(number): name for number, name in CLAIM["edition_2024"].items()}
UNANSWERED = {int(number): reason for number, reason in CLAIM["unanswered"].items()}


def make_card(
    folder: Path | None,
    *,
    out: Path | None,
    external: Mapping[str, Path],
    reading: Reading = AS_FOUND,
    cases: int,
    force: bool,
) -> Path:
    """Write the card, the subgroups and the sheets; print the tables and where the card is.

    Raises:
        EdgeMelanomaError: the run is not whole, its pictures are not those that were scored, or
            there is a card already and `force` is off.
    """
    run = find_own_run(folder)
    if run.variant == Variant.IMPORTED:
        raise EdgeMelanomaError(
            f"{run.folder} was imported: a model card states how a network was trained, which its "
            f"file does not tell."
        )
    out, subgroups_file = out or run.folder / CARD, run.folder / SUBGROUPS
    for path in (out, subgroups_file):
        if path.exists() and not force:
            raise EdgeMelanomaError(
                f"{path} exists; replace it with --force, or move it away first."
            )
    reporter = TerminalReporter()
    with hold_run(run.folder):
        refuse_unwritable(out, subgroups_file)
        if external:
            trained_on = run.manifest["dataset"]["folders"]
            refuse_training_sets(external, {name: Path(path) for name, path in trained_on.items()})
            found = read_external_sets(external, learned_by_run(run), reading, reporter=reporter)
            score_external_sets(run, found, reporter=reporter)
            run = open_run(run.folder)  # its evaluation has these sets now
        network, failures = load_network(run), run.folder / FAILURES
        sheets = SheetMaker(run=run, network=network, folder=failures, card=out, cases=cases)
        facts = _gather(run, sheets, reporter)
        write_json(subgroups_file, _subgroups_json(run, facts["judged"]))
        write_atomically(out, render_card(facts))
        record_files(run, [subgroups_file, out, *sorted(failures.rglob("*.png"))])
    for judged in facts["judged"]:
        _show(judged)
    command = ("android", run.folder, "--out", "bundle")
    print_lines(results_console(width=160), *next_lines(out, subgroups_file, command=command))
    return out


def _gather(run: TrainedModel, sheets: SheetMaker, reporter: Reporter) -> dict[str, Any]:
    """What `card.md.j2` is filled with, by its names.

    `exports` are the manifests of the .tflite files by file name, `parity` is bench/parity.json
    where there is one, `parameters` the number of the network's weights. `judged` are the sets
    whose pictures are still there, the run's own test side first, each as in subgroups.json and
    with its `sheets`, by the kind of error.
    """
    evaluation = {"external": {}, **read_evaluation(run.folder)}
    return {
        "run": run,
        "evaluation": evaluation,
        "leaked_test": len(leaked_test_of(read_split(run.folder))),
        "parameters": int(sheets.network.count_params()),
        "judged": tuple(_judge_run(run, evaluation, sheets, reporter)),
        "exports": dict(_read_exports(run)),
        "parity": _read_parity(run),
    }


def _judge_run(
    run: TrainedModel, evaluation: Mapping[str, Any], sheets: SheetMaker, reporter: Reporter
) -> Iterator[dict[str, Any]]:
    """The test side, then each external set of the evaluation whose folder is still there."""
    for name, file_name, dataset, unordered, scores in _scored_sets(run, evaluation, reporter):
        by_id = {record.image_id: record for record in unordered}
        records = [by_id[image_id] for image_id in scores.image_ids]
        traits = read_traits(records, reporter=reporter)
        drawn = {
            kind: sheets.make(
                kind, records=records, predictions=scores, file_name=file_name, set_name=name
            )
            for kind in Failure
        }
        yield {
            "name": name,
            "dataset": dict(dataset),
            **subgroups.measure_subgroups(scores, traits, threshold=run.threshold),
            "sheets": {kind: sheet for kind, sheet in drawn.items() if sheet is not None},
        }


def _scored_sets(
    run: TrainedModel, evaluation: Mapping[str, Any], reporter: Reporter
) -> Iterator[tuple[str, str, Mapping[str, Any], Sequence[LesionRecord], PredictionSet]]:
    """Name, part of file names, dataset block, records and scores of each set."""
    own = read_side(run, TEST_SIDE)
    dataset = describe_own_side(run, TEST_SIDE, own)
    scores = read_predictions(run.folder / "predictions_test.csv")
    yield dataset["name"], TEST_SIDE, dataset, own, scores
    for name, block in evaluation.get("external", {}).items():
        folder = find_external(run, name, block["dataset"])
        if not folder.is_dir():
            reporter.say(f"The folder of {name} is not there any more: its subgroups are left out.")
            continue
        scores = read_predictions(run.folder / f"predictions_external_{name}.csv")
        told = run.manifest.get("external_reading", {}).get(name)
        listed = list_lesions(folder, Reading.from_dict(told))
        records = _scored_records(listed, name, scores, block["dataset"])
        yield f"{name} (outside)", name, block["dataset"], records, scores


def _scored_records(
    listed: Sequence[LesionRecord], name: str, scores: PredictionSet, dataset: Mapping[str, Any]
) -> tuple[LesionRecord, ...]:
    by_id = {record.image_id: record for record in listed}
    missing = [image_id for image_id in scores.image_ids if image_id not in by_id]
    if missing:
        raise EdgeMelanomaError(
            f"The image {missing[0]} of the external set {name} is missing; restore it, or score "
            f"the set anew with --external {name}=DIR."
        )
    scored = [by_id[image_id] for image_id in scores.image_ids]
    records = tuple(replace(one, sha256=sha256_of(read_image_bytes(one.path))) for one in scored)
    if fingerprint_of({dataset["name"]: records}) != dataset["fingerprint"]:
        raise EdgeMelanomaError(
            f"The images or labels of the external set {name} have changed since they were "
            f"scored; restore them, or score the set anew with --external {name}=DIR."
        )
    return records


def _read_exports(run: TrainedModel) -> Iterator[tuple[str, dict[str, Any]]]:
    """The manifests of files that were made from these weights, float files first."""
    paths = sorted(run.exports_folder.glob("model_*.tflite"))
    for path in sorted(paths, key=lambda path: ("float" not in path.stem, path.stem)):
        manifest = path.with_suffix(".json")
        told = read_json(manifest, ExportManifest) if manifest.is_file() else {}
        if told.get("source_sha256") == run.sha256:
            yield path.name, told


def _read_parity(run: TrainedModel) -> dict[str, Any] | None:
    """The run's parity.json, if it is of these weights."""
    path = run.folder / "bench" / "parity.json"
    parity = read_json(path, Parity, most=LARGEST_LIST_BYTES) if path.is_file() else None
    return parity if parity and parity["reference"]["sha256"] == run.sha256 else None


def _subgroups_json(run: TrainedModel, judged: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "schema": 1,
        "model": {"run": run.folder.resolve().name, "variant": run.variant, "sha256": run.sha256},
        "threshold": run.threshold,
        "threshold_source": "validation",
        "sets": [{key: told for key, told in one.items() if key != "sheets"} for one in judged],
    }


def render_card(facts: Mapping[str, Any]) -> str:
    """The whole card of what `_gather` gives; the same run gives the same card."""
    dataset, sides, external = map(facts["evaluation"].get, ("dataset", "sides", "external"))
    own_cards = dict(dataset.get("cards") or {dataset["name"]: dataset.get("card")})
    outside = {f"{name} (outside)": one["dataset"].get("card") for name, one in external.items()}
    weights = str(facts["run"].manifest["settings"]["weights"])
    answered: dict[str, Sequence[int]] = {}

    def heading(title: str, *, claim_2024: Sequence[int], claim_2020: Sequence[int]) -> Markup:
        answered[title] = claim_2024
        return Markup(f"## {title}\n\n{name_items(claim_2024, claim_2020)}")

    template = _environment().get_template("card.md.j2")
    return template.render(
        facts,
        sides={side: sides[side] for side in SIDES if side in sides},
        external=external,
        own_cards=own_cards,
        cards=own_cards | outside,
        # The folder of a file may name a person.
        starting_weights=weights if weights in NAMED_WEIGHTS else f"the file {Path(weights).name}",
        heading=heading,
        checklist=lambda: list_items(answered),
    )


def name_items(items_2024: Sequence[int], items_2020: Sequence[int]) -> str:
    """The line below a heading.

    Raises:
        ValueError: a number that the checklist has not got.
    """
    if not ITEMS_2024.keys() >= set(items_2024) or not set(ITEMS_2020) >= set(items_2020):
        raise ValueError(f"CLAIM has no such items: {items_2024} of 2024, {items_2020} of 2020.")
    parts = [
        f"CLAIM {year} {'item' if len(items) == 1 else 'items'} {', '.join(map(str, items))}"
        for year, items in ((2024, items_2024), (2020, items_2020))
        if items
    ]
    return f"*{'; '.join(parts)}*"


def list_items(answered: Mapping[str, Sequence[int]]) -> Iterator[tuple[int, str, str]]:
    """Number, name and place of every item of 2024; `answered` are the items of each heading."""
    for number, name in ITEMS_2024.items():
        places = [title for title, items in answered.items() if number in items]
        reason = UNANSWERED.get(number, "the run does not hold it")
        yield number, name, "; ".join(places) or f"not answered: {reason}"


@cache
def _environment() -> Environment:
    environment = template_environment(
        FOLDER,
        autoescape=True,
        # For Markdown, before Jinja would do it for HTML.
        finalize=lambda value: value if isinstance(value, Markup) else Markup(text_of(value)),
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "share_of": share_of,
        "risk_header": HEADER,
        "risk_cells": risk_cells,
        "describe_promise": describe_promise,
        "subgroup_table": _subgroup_table,
        "describe_findings": subgroups.describe_findings,
        "darker_tones": DARKER_TONES,
        "failures": tuple(Failure),
        "fewest": subgroups.FEWEST,
    }
    return environment


def _subgroup_table(table: Mapping[str, Any]) -> Markup:
    header, *rows = subgroups.rows_of_table(table)
    return Markup("\n".join(table_of(header, [list(map(text_of, row)) for row in rows])))


def _show(judged: Mapping[str, Any]) -> None:
    header, *rows = subgroups.rows_of_table(judged)
    data = judged["dataset"]
    title = (
        f"{judged['name']}: {data['images']} images, {data['malignant']} malignant; "
        f"threshold {judged['threshold']:.4f} from validation"
    )
    table = Table(*header, title=title, caption="Research only, not a medical device.")
    for row in rows:
        table.add_row(*row)
    console = results_console(width=160)
    print_table(console, table)
    print_lines(console, *subgroups.describe_findings(judged))
