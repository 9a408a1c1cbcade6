"""The float16 file of a bundle: a run's export, or made from its weights without any picture."""

from pathlib import Path

from edge_melanoma.converters.phone.bundle_layout import FLOAT16
from edge_melanoma.converters.phone.model_info import BundledModel
from edge_melanoma.machine.child_process import run_in_child
from edge_melanoma.runs.artifacts import TrainedModel, open_converted
from edge_melanoma.tflite.modes import Correction, InputOutput, Mode


def find_or_convert_float16(run: TrainedModel, *, with_map: bool = False) -> BundledModel:
    """The run's export at its own threshold, or a conversion at the threshold of the network.

    `with_map` asks for the second output, of which the export may have one or not.

    Raises:
        EdgeMelanomaError: a conversion is needed and TensorFlow is not installed.
    """
    path = run.exports_folder / f"model_{Mode.FLOAT16}.tflite"
    exported = open_converted(path) if path.is_file() else None
    if exported is not None and bool(exported.manifest.get("with_map")) == with_map:
        data, threshold = exported.data, float(exported.manifest["threshold"])
    else:
        data, threshold = run_in_child(_convert, run, with_map=with_map), run.threshold
    return BundledModel(
        file=Path(FLOAT16).name, data=data, threshold=threshold, threshold_integer=None
    )


def _convert(run: TrainedModel, *, with_map: bool) -> bytes:
    """Biases are not corrected for the rounding, which takes pictures; halves hardly round."""
    from edge_melanoma.converters.slimming import slim_model
    from edge_melanoma.converters.tflite_export import convert_network
    from edge_melanoma.network.network import load_network

    return slim_model(
        convert_network(
            load_network(run),
            Mode.FLOAT16,
            io=InputOutput.FLOAT32,
            calibration=None,
            correction=Correction.NONE,
            with_map=with_map,
        )
    )
