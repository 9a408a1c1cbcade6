"""The float16 file of a bundle: a run's export, or made from its weights without any picture."""

from pathlib import Path

from edge_melanoma.artifacts import TrainedModel, open_converted
from edge_melanoma.child_process import run_in_child
from edge_melanoma.converters.bundle_layout import FLOAT16
from edge_melanoma.converters.model_info import BundledModel
from edge_melanoma.converters.modes import Correction, InputOutput, Mode


def find_or_convert_float16(run: TrainedModel) -> BundledModel:
    """The run's export at its own threshold, or a conversion at the threshold of the network.

    Raises:
        EdgeMelanomaError: a conversion is needed and TensorFlow is not installed.
    """
    exported = run.exports_folder / f"model_{Mode.FLOAT16}.tflite"
    if exported.is_file():
        model = open_converted(exported)
        data, threshold = model.data, float(model.manifest["threshold"])
    else:
        data, threshold = run_in_child(_convert, run), run.threshold
    return BundledModel(
        file=Path(FLOAT16).name, data=data, threshold=threshold, threshold_integer=None
    )


def _convert(run: TrainedModel) -> bytes:
    """Biases are not corrected for the rounding, which takes pictures; halves hardly round."""
    from edge_melanoma.converters.slimming import slim_model
    from edge_melanoma.converters.tflite_export import convert_network
    from edge_melanoma.network import load_network

    return slim_model(
        convert_network(
            load_network(run),
            Mode.FLOAT16,
            io=InputOutput.FLOAT32,
            calibration=None,
            correction=Correction.NONE,
        )
    )
