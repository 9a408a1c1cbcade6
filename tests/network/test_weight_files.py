"""Weights are plain arrays; a whole model from outside is refused, and no code in it runs."""

import codecs
import importlib
import io
import json
import marshal
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import run_limited
from edge_melanoma.network.weight_files import LARGEST_WEIGHTS_BYTES, read_weights_file
from edge_melanoma.tflite.ends import Ends

Run = Callable[..., Any]
h5py = pytest.importorskip("h5py", reason="the extra train is not installed")

KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)


class _Payload:
    """What a pickle runs when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("it ran"),)


def _lambda_h5(folder: Path) -> Path:
    """A whole Keras model, as `model.save` writes it, whose Lambda layer holds Python code."""
    path = folder / "model.h5"
    code = marshal.dumps((lambda x: os.system("touch 'it ran'")).__code__)
    function = [codecs.encode(code, "base64").decode(), None, None]
    layer = {"class_name": "Lambda", "config": {"function": function}}
    config = {"class_name": "Sequential", "config": {"layers": [layer]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file["model_weights/dense/dense/kernel:0"] = KERNEL
    return path


def _keras_archive(folder: Path) -> Path:
    """A .keras file whose configuration names a function of another module."""
    path = folder / "model.keras"
    config = {"module": "os", "class_name": "function", "config": "getcwd", "registered_name": ""}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("../outside.txt", "traversed")
    return path


def _saved_model(folder: Path) -> Path:
    path = folder / "saved"
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"\x08\x01")
    return path


def _pickle(folder: Path) -> Path:
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(_Payload()))
    return path


def _numpy_pickle(folder: Path) -> Path:
    path = folder / "model.npy"
    np.save(path, np.array([_Payload()], dtype=object), allow_pickle=True)
    return path


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "lambda": (_lambda_h5, "is not as Keras writes it"),
    "keras": (_keras_archive, "is no readable .keras archive"),
    "saved model": (_saved_model, "are a folder, as a SavedModel is, which can run code"),
    "pickle": (_pickle, "is no HDF5 file"),
    "numpy pickle": (_numpy_pickle, "is no HDF5 file"),
}


def test_the_payload_of_these_tests_does_run_where_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(_Payload()))
    assert (tmp_path / "it ran").exists()


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_model_is_refused_as_weights_with_the_reason_and_runs_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Modules that come late are unmarshalled from their caches: those of zipfile's names too.
    importlib.import_module("encodings.cp437")
    run_limited(len, b"", what="The child", seconds=None)
    from edge_melanoma.network.keras_models import read_keras_model

    make, reason = HOSTILE[kind]
    path = make(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for module in ("pickle", "marshal"):
        monkeypatch.setattr(sys.modules[module], "loads", _refuse_to_load)
    with pytest.raises(EdgeMelanomaError) as caught:
        read_keras_model(path, Ends())
    assert reason in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def _refuse_to_load(*_: Any) -> None:
    raise AssertionError("something was deserialised")


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_hostile_model_is_refused_by_commands_too(
    kind: str, command: str, tmp_path: Path, edge_melanoma: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = HOSTILE[kind][0](tmp_path)
    monkeypatch.chdir(tmp_path)
    arguments = [tmp_path / "a.png"] if command == "predict" else ["--data", tmp_path]
    before = sorted(tmp_path.rglob("*"))
    result = edge_melanoma(command, path, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "can run code that is in" in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def write_hdf5(path: Path, **datasets: Any) -> Path:
    """A file of weights with one layer."""
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[f"dense/dense/{name}:0"] = values
    return path


def test_plain_arrays_are_read_from_hdf5_and_from_safetensors(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    hdf5 = write_hdf5(tmp_path / "a.h5", kernel=KERNEL, bias=np.zeros(3))
    save_file({"dense/kernel": KERNEL.astype(np.float16)}, tmp_path / "a.safetensors")
    found = read_weights_file(hdf5).arrays
    assert found.keys() == {"dense/kernel", "dense/bias"}
    np.testing.assert_array_equal(found["dense/kernel"], KERNEL)
    other = read_weights_file(tmp_path / "a.safetensors").arrays
    np.testing.assert_array_equal(other["dense/kernel"], KERNEL)
    assert other["dense/kernel"].dtype == np.float32


def test_hdf5_that_leads_to_other_files_is_refused(tmp_path: Path) -> None:
    secret = write_hdf5(tmp_path / "secret.h5", kernel=KERNEL)
    path = write_hdf5(tmp_path / "a.h5", kernel=KERNEL)
    for link in (h5py.ExternalLink(secret, "dense"), h5py.SoftLink("/dense/dense/kernel:0")):
        for place in ("other", "dense/other"):
            with h5py.File(path, "a") as file:
                file[place] = link
            with pytest.raises(EdgeMelanomaError, match="links to other places or files"):
                read_weights_file(path)
            with h5py.File(path, "a") as file:
                del file[place]
    assert read_weights_file(path).arrays.keys() == {"dense/kernel"}
    with h5py.File(path, "a") as file:
        group = file["dense/dense"]
        group.create_dataset("x", (4,), "f4", external=[(tmp_path / "secret.h5", 0, 16)])
    with pytest.raises(EdgeMelanomaError, match="no floats in the file itself"):
        read_weights_file(path)


def test_hdf5_of_text_or_of_terabytes_is_refused(tmp_path: Path) -> None:
    text = write_hdf5(tmp_path / "text.h5", kernel=b"import os")
    with pytest.raises(EdgeMelanomaError, match="no floats in the file itself"):
        read_weights_file(text)
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("dense/kernel:0", (2**40,), "f4", chunks=(2**16,))
    with pytest.raises(EdgeMelanomaError, match=f"unpacks to {2**42} bytes"):
        read_weights_file(tmp_path / "huge.h5")
    with (tmp_path / "sparse.h5").open("wb") as stream:
        stream.truncate(LARGEST_WEIGHTS_BYTES + 1)
    with pytest.raises(EdgeMelanomaError, match="bytes; at most"):
        read_weights_file(tmp_path / "sparse.h5")


@pytest.mark.parametrize("suffix", ["h5", "safetensors"])
def test_broken_weights_are_refused_in_a_sentence(suffix: str, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / f"a.{suffix}"
    if suffix == "h5":
        write_hdf5(path, kernel=KERNEL)
    else:
        save_file({"dense/kernel": KERNEL}, path)
    whole = path.read_bytes()
    for length in (0, 4, 9, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(EdgeMelanomaError, match=r"^The weights file .* is no "):
            read_weights_file(path)


def test_nothing_in_the_package_unpacks_an_archive_to_disk() -> None:
    """Data sets come as folders: what is not unpacked cannot write outside of its folder."""
    root = Path(__file__).parents[2]
    unpacking = ("extractall", ".extract(", "unpack_archive", "tarfile", "pickle.load")
    sources = [
        p
        for name in ("edge_melanoma", "converters", "benchmarks")
        for p in (root / name).rglob("*.py")
    ]
    assert len(sources) > 100
    found = {
        (path.relative_to(root).as_posix(), word)
        for path in sources
        for word in unpacking
        if word in path.read_text(encoding="utf-8")
    }
    # What own processes hand each other; never a file that somebody may have made.
    own = {"edge_melanoma/machine/ray.py", "edge_melanoma/machine/processes.py"}
    assert found == {(path, "pickle.load") for path in own}


def test_a_zip_attached_to_a_model_is_read_in_memory_whatever_its_names_are() -> None:
    from edge_melanoma.converters.metadata import attach_metadata
    from edge_melanoma.runs.bundled import bundled_model
    from edge_melanoma.tflite.metadata import read_attached_files

    model = attach_metadata(
        bundled_model().read_bytes(),
        description="b",
        version="1",
        files={"labels.txt": b"x", "../out.txt": b"y"},
    )
    assert read_attached_files(model) == {"labels.txt": b"x", "../out.txt": b"y"}
    assert not Path("..", "out.txt").exists()
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        assert "../out.txt" in archive.namelist()
