"""No interpreter sees a file that is broken, and damage is told from within the file."""

import struct
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from mutations import without_seal
from tflite_files import empty_model, mean_model, two_output_model, without_metadata

from edge_melanoma.converters.packing import seal_model
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.runs.bundled import bundled_model
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runs.own_files import remember_own
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.metadata import Seal, read_seal
from edge_melanoma.tflite.verification import BrokenModelError, check_model, verify_model

MODEL = without_seal(without_metadata(bundled_model().read_bytes()))


def refusal_of(data: bytes) -> str:
    """What is wrong with the file, as the end of a sentence."""
    with pytest.raises(BrokenModelError) as caught:
        check_model(data)
    return str(caught.value)


def changed(change: Any) -> bytes:
    """The model in the package after `change(model, graph)`, written anew."""
    model = schema.ModelT.InitFromPackedBuf(MODEL, 0)
    change(model, model.subgraphs[0])
    builder = flatbuffers.Builder(len(MODEL))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def first(graph: Any, model: Any, operator: int) -> Any:
    """The first operator of a kind."""
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return next(op for op in graph.operators if codes[op.opcodeIndex] == operator)


def test_models_of_all_makings_pass() -> None:
    models = [MODEL, seal_model(MODEL), changed(lambda model, graph: None), two_output_model()]
    models += [empty_model(shape=[1, 224, 224, 3]), mean_model(tensor="a", signature="b")]
    for data in models:
        check_model(data)


def test_a_file_is_read_in_a_process_of_its_own_and_refused_in_one_sentence() -> None:
    verify_model(MODEL, name="a.tflite")
    with pytest.raises(EdgeMelanomaError) as caught:
        verify_model(MODEL[:100], name="a.tflite")
    assert str(caught.value) == (
        "a.tflite is not a .tflite file of a lesion classifier: it points to bytes that it does "
        "not have; export it again, or fetch it again."
    )


@pytest.mark.parametrize("length", [0, 3, 8, 100, 10_000, len(MODEL) // 2, len(MODEL) - 1])
def test_a_truncated_file_is_refused(length: int) -> None:
    assert refusal_of(MODEL[:length]) in {
        "does not bear the identifier TFL3",
        "points to bytes that it does not have",
    }


def test_a_root_that_leads_out_of_the_file_or_back_is_refused() -> None:
    for root in (0, 2**31, 2**32 - 1, len(MODEL)):
        assert refusal_of(struct.pack("<I", root) + MODEL[4:])


def test_tables_that_name_each_other_a_million_times_are_refused_in_time() -> None:
    """A vector of a million offsets to one table, in four megabytes."""
    count = 1_000_000
    builder = flatbuffers.Builder(5 * count)
    builder.StartObject(1)
    table = builder.EndObject()
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependUOffsetTRelative(table)
    vector = builder.EndVector()
    builder.StartObject(5)
    builder.PrependUint32Slot(0, 3, 0)
    builder.PrependUOffsetTRelativeSlot(4, vector, 0)
    builder.Finish(builder.EndObject(), b"TFL3")
    assert refusal_of(bytes(builder.Output())) == "has more than 100000 tables"


Change = Any
CONV, CUSTOM, WHILE = 3, 32, 119
REFUSED: dict[str, tuple[Change, str]] = {
    "another version": (lambda m, g: setattr(m, "version", 2), "has schema version 2, not 3"),
    "two graphs": (lambda m, g: m.subgraphs.append(g), "has 2 graphs, not one"),
    "a loop": (
        lambda m, g: setattr(m.operatorCodes[0], "builtinCode", WHILE),
        "uses the operator WHILE, which classifiers of pictures are not made of",
    ),
    "an operator of others": (
        lambda m, g: setattr(m.operatorCodes[0], "customCode", "Evil"),
        "uses OperatorCode.customCode, which is not supported",
    ),
    "a tensor that is not there": (
        lambda m, g: setattr(g.operators[0], "inputs", [9999, *g.operators[0].inputs[1:]]),
        "has an operator that takes what nothing gives",
    ),
    "a circle": (
        lambda m, g: setattr(g.operators[1], "inputs", [g.operators[-1].outputs[0]]),
        "has an operator that takes what nothing gives",
    ),
    "a buffer that is not there": (
        lambda m, g: setattr(g.tensors[0], "buffer", 9999),
        "has a tensor in the buffer 9999, which is not there",
    ),
    "weights elsewhere": (
        lambda m, g: setattr(m.buffers[1], "offset", 1000),
        "keeps weights outside of its flatbuffer",
    ),
    "a huge tensor": (
        lambda m, g: setattr(g.tensors[g.outputs[0]], "shape", [1, 2**30]),
        f"has a tensor of {2**30} bytes",
    ),
    "a negative side": (
        lambda m, g: setattr(g.tensors[g.outputs[0]], "shape", [1, -1]),
        "has a tensor of the shape [1, -1]",
    ),
    "no scale": (
        lambda m, g: setattr(g.tensors[g.inputs[0]].quantization, "scale", [np.nan]),
        "has a scale that is not a number above 0",
    ),
    "a zero point of another type": (
        lambda m, g: setattr(g.tensors[g.inputs[0]].quantization, "zeroPoint", [300]),
        "has a zero point that INT8 cannot hold",
    ),
    "a signature that leads nowhere": (
        lambda m, g: setattr(m.signatureDefs[0].inputs[0], "tensorIndex", 9999),
        "has a signature that names no end of the graph",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_network_that_no_classifier_has_is_refused(name: str) -> None:
    change, message = REFUSED[name]
    assert refusal_of(changed(change)) == message


@pytest.mark.parametrize(
    ("option", "value"), [("strideW", 3), ("strideH", 0), ("padding", 1), ("dilationHFactor", -4)]
)
def test_a_window_that_does_not_give_its_shape_is_refused(option: str, value: int) -> None:
    def change(model: Any, graph: Any) -> None:
        kernels = [op for op in graph.operators if hasattr(op.builtinOptions, "dilationHFactor")]
        wide = next(op for op in kernels if graph.tensors[op.inputs[1]].shape[1] == 3)
        setattr(wide.builtinOptions, option, value)

    assert refusal_of(changed(change)).startswith(("has a ", "has a window"))


def test_a_kernel_with_less_data_than_its_shape_is_refused() -> None:
    def change(model: Any, graph: Any) -> None:
        kernel = graph.tensors[first(graph, model, CONV).inputs[1]]
        model.buffers[kernel.buffer].data = model.buffers[kernel.buffer].data[:-1]

    assert "bytes of data" in refusal_of(changed(change))


def test_a_seal_is_intact_until_one_bit_changes_and_outputs_stay() -> None:
    sealed = seal_model(MODEL)
    assert (read_seal(MODEL), read_seal(sealed)) == (Seal.NONE, Seal.INTACT)
    assert seal_model(sealed) == sealed
    assert len(sealed) - len(MODEL) < 300
    assert read_seal(sealed + b"a ZIP of labels") is Seal.INTACT
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(sealed), 20):
        damaged = bytearray(sealed)
        damaged[place] ^= 1
        assert read_seal(bytes(damaged)) is not Seal.INTACT
    plain, other = (
        TFLiteSession(SessionSettings(data=data, name="a", runtime=Runtime.LITERT))
        for data in (MODEL, sealed)
    )
    for picture in rng.integers(0, 256, (3, 224, 224, 3), dtype=np.uint8):
        assert plain.score(picture) == other.score(picture)


def test_a_lone_file_whose_seal_is_broken_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "phone.tflite"
    damaged = bytearray(seal_model(MODEL))
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(EdgeMelanomaError) as caught:
        open_converted(path)
    assert str(caught.value) == (
        f"{path} was damaged or changed after it was written (the sha256 inside of it differs); "
        f"export it again, or fetch it again."
    )


def test_a_file_is_vouched_for_where_it_was_made_and_by_no_seal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    lone, sealed = tmp_path / "lone.tflite", tmp_path / "sealed.tflite"
    lone.write_bytes(MODEL)
    sealed.write_bytes(seal_model(MODEL))
    files = bundled_model(), sealed, lone
    assert [open_converted(path).is_vouched_for for path in files] == [True, False, False]
    remember_own(sha256_of(MODEL))
    assert [open_converted(path).is_vouched_for for path in files] == [True, False, True]
    (kept,) = (path for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_model_file_too_large_to_be_one_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.tflite"
    with path.open("wb") as stream:
        stream.truncate(2**30)
    with pytest.raises(EdgeMelanomaError, match=r"has 1073741824 bytes; a model has at most"):
        open_converted(path)
