"""The Python API: one training, its files and what they say, as a script would have them."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import edge_melanoma as em
from edge_melanoma.api import results
from edge_melanoma.cli import app
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.machine.command_line import stated_options
from edge_melanoma.runs.models import TrainedModel


def test_the_package_alone_loads_nothing_heavy() -> None:
    heavy = ("tensorflow", "tf_keras", "numpy", "sklearn", "rich")
    code = f"import sys, edge_melanoma; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_functions_are_found_by_name() -> None:
    assert {name for name in em.__all__ if not hasattr(em, name)} == set()
    assert set(em.__all__) <= set(dir(em))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        em.trian  # type: ignore[attr-defined]  # noqa: B018


def test_a_run_goes_from_training_to_predictions(exported_run: TrainedModel) -> None:
    run = em.load(exported_run.folder)
    assert isinstance(run, results.Run)
    rows = run.to_dict()
    assert [row["side"] for row in rows][:2] == ["train", "validation"]
    assert list(rows[0])[2] == "recall"
    model = em.load(exported_run.exports_folder / "model_int8.tflite")
    result = em.evaluate(model)
    assert result.to_dict()[0]["metric"] == "recall"
    picture = next(iter(sorted(Path(result.result["dataset"]["name"]).rglob("*.png"))), None)
    assert picture is None or em.predict(model, picture)[0].model


def test_a_script_without_a_guard_predicts(tmp_path: Path, phantoms: Path) -> None:
    picture = sorted(phantoms.rglob("malignant/*.*"))[0]
    script = tmp_path / "script.py"
    script.write_text(
        "import edge_melanoma as em\n"
        f"found = em.predict('bundled', {str(picture)!r})\n"
        "print(found[0].decision, '<table>' in found._repr_html_())\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.split() in (["malignant", "True"], ["benign", "True"]), done.stderr


def test_keras_callbacks_see_the_training(phantoms: Path, tmp_path: Path) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    epochs: list[int] = []
    callback = tf_keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: epochs.append(epoch))
    run = em.train(
        phantoms,
        variant="frozen",
        weights="none",
        epochs=1,
        out=tmp_path / "run",
        callbacks=[callback],
    )
    assert epochs == [0]
    assert run.variant == "frozen"
    asked = {"data": [phantoms], "variant": "frozen", "weights": "none", "epochs": 1, "seed": 0}
    assert stated("train", run.folder).items() >= asked.items()


def stated(command: str, folder: Path) -> dict[str, Any]:
    """What a command does that is repeated from the config.toml of a folder."""
    group: Any = typer.main.get_command(app)
    words = ["--config", str(folder / "config.toml")]
    above = typer.Context(group, info_name="edge-melanoma")
    return stated_options(group.commands[command].make_context(command, words, parent=above))


@pytest.fixture
def folder(exported_run: TrainedModel, tmp_path: Path) -> Path:
    """A copy of the run that can be written to."""
    return shutil.copytree(exported_run.folder, tmp_path / "run")


def test_an_export_is_repeated_from_its_folder(folder: Path) -> None:
    made = ExportSettings(calibration_images=20)
    models = em.export(folder, quantize=("int8", "float16"), calibration_images=20)
    assert [model.mode for model in models] == ["float32", "float16", "int8"]
    kept = stated("export", folder / "exports")
    named = {name.replace("_", "-"): value for name, value in made.options().items()}
    assert kept.items() >= ({"quantize": ["int8", "float16"]} | named).items()


@pytest.mark.thorough
def test_a_bench_is_repeated_from_its_folder(folder: Path) -> None:
    contract = folder.with_name("limits.toml")
    contract.write_text("max_recall_drop = 1\n")
    em.bench(folder, contract=contract, limit=6)
    kept = stated("bench", folder / "bench-limit-6")
    assert (kept["contract"], kept["limit"]) == (contract, 6)


@pytest.mark.parametrize(
    ("variant", "split", "told"),
    [("patrial", "pooled", "variant='patrial'"), ("partial", "folder", "split='folder'")],
)
def test_wrong_names_are_told(phantoms: Path, variant: str, split: str, told: str) -> None:
    with pytest.raises(em.EdgeMelanomaError, match=told):
        em.train(phantoms, variant=variant, split=split)
