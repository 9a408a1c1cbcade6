"""The output tensor of an export, as its manifest tells of it."""

from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.tflite.quantization import ScoreTensor, TensorQuantization, score_tensor_of


def test_the_output_tensor_is_the_manifests() -> None:
    manifest = {
        "output": {"dtype": "uint8", "scale": 0.07, "zero_point": 139, "name": "logit"},
        "input": {"dtype": "uint8", "scale": 0.004, "zero_point": 0},
    }
    assert score_tensor_of(manifest) == ScoreTensor(
        name="logit",
        quantization=TensorQuantization(dtype="uint8", scale=0.07, zero_point=139),
    )


def test_without_a_manifest_the_output_tensor_is_unknown() -> None:
    assert score_tensor_of({}) is None


def test_the_manifest_of_an_export_has_what_bench_needs(exported_run: TrainedModel) -> None:
    int8, float32 = (
        score_tensor_of(
            open_converted(exported_run.exports_folder / f"model_{mode}.tflite").manifest
        )
        for mode in ("int8", "float32")
    )
    steps = TensorQuantization(dtype="int8", scale=1 / 256, zero_point=-128)
    assert int8 == ScoreTensor(name="p_malignant", quantization=steps)
    assert float32 is not None
    assert float32.quantization.is_float
