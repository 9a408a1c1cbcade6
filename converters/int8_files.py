"""Int8 files of a folded network by post-training quantisation, as an export's settings ask."""

from collections.abc import Collection
from typing import Any

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.export_settings import ExportSettings
from edge_melanoma.converters.litert_export import quantize_float_model
from edge_melanoma.converters.networks.heads import SCORE_LAYER, without_sigmoid
from edge_melanoma.converters.slimming import slim_model
from edge_melanoma.converters.tflite_export import Int8Converter, convert_network, correct_network
from edge_melanoma.tflite.modes import Backend, Correction, InputOutput, Mode, Output


class Int8Files:
    """Files that differ in the layers they keep in float."""

    def __init__(self, network: Any, calibration: CalibrationSet, settings: ExportSettings) -> None:
        self._network = without_sigmoid(network) if settings.output is Output.LOGIT else network
        self._calibration, self._settings = calibration, settings
        self._converter = Int8Converter(
            self._network,
            io=settings.io,
            calibration=calibration,
            correction=settings.correction,
        )

    def convert(self, float_layers: Collection[str] = ()) -> bytes:
        """One file, as small as it can be written."""
        if self._settings.backend is Backend.LITERT:
            return slim_model(
                quantize_by_litert(
                    self._network, Mode.INT8, self._calibration, self._settings, float_layers
                )
            )
        has_float_end = self._settings.output is Output.FLOAT32
        return slim_model(
            self._converter.convert(
                (*float_layers, SCORE_LAYER) if has_float_end else float_layers,
                output=InputOutput.FLOAT32 if has_float_end else None,
            )
        )


def quantize_by_litert(
    network: Any,
    mode: Mode,
    calibration: CalibrationSet,
    settings: ExportSettings,
    float_layers: Collection[str] = (),
) -> bytes:
    """A file in any mode by LiteRT's quantizer, the network's means corrected if asked for."""
    if settings.correction is Correction.LAYERWISE:
        network = correct_network(network, mode, calibration)
    data = convert_network(network, Mode.FLOAT32, io=settings.io, calibration=None)
    return quantize_float_model(
        data, mode, io=settings.io, calibration=calibration, float_layers=float_layers
    )
