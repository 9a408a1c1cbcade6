"""The models that `bench` compares: a run's network and its exports."""

from collections.abc import Sequence

from edge_melanoma.benchmarks.parity.scoring import REFERENCE
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.score_parts import ScorePart
from edge_melanoma.runs.artifacts import ConvertedModel, TrainedModel, open_exports


def open_benched_models(run: TrainedModel) -> list[ConvertedModel]:
    """The run's exports; float files first, each kind by size.

    So conversion loss is read before quantisation loss.

    Raises:
        EdgeMelanomaError: the run has none.
    """
    models = open_exports(run)
    if not models:
        raise EdgeMelanomaError(
            f"The run {run.folder} has no exported model; make one with: edge-melanoma export "
            f"{run.folder} --quantize int8"
        )
    return sorted(models, key=lambda model: (not model.mode.startswith("float"), -model.size_bytes))


def hashes_of_models(run: TrainedModel, exports: Sequence[ConvertedModel]) -> dict[str, str]:
    """sha256 by mode, the trained weights under `keras`."""
    return {REFERENCE: run.sha256} | {model.mode: model.sha256 for model in exports}


def refuse_other_models(
    merged: ScorePart, run: TrainedModel, exports: Sequence[ConvertedModel]
) -> None:
    """Parts say something of the models alone that made them.

    Raises:
        EdgeMelanomaError: the run's weights or exports are others.
    """
    made, present = merged.common["models"], hashes_of_models(run, exports)
    if made != present:
        odd = sorted(mode for mode in {*made, *present} if made.get(mode) != present.get(mode))
        raise EdgeMelanomaError(
            f"The parts were made with another {odd[0]} model than that of the run {run.folder}; "
            f"name their run with --run, or make the parts anew."
        )
