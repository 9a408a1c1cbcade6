"""The Python API: one training, its files and what they say, as a script would have them."""

import subprocess
import sys
from pathlib import Path

import pytest

import edge_melanoma as em
from edge_melanoma import api
from edge_melanoma.runs.models import TrainedModel


def test_the_package_alone_loads_nothing_heavy() -> None:
    heavy = ("tensorflow", "tf_keras", "numpy", "sklearn", "rich")
    code = f"import sys, edge_melanoma; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_functions_are_found_by_name() -> None:
    assert {name for name in em.__all__ if not hasattr(em, name)} == set()
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        em.trian  # type: ignore[attr-defined]  # noqa: B018


def test_a_run_goes_from_training_to_predictions(exported_run: TrainedModel) -> None:
    run = em.load(exported_run.folder)
    assert isinstance(run, api.Run)
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


@pytest.mark.parametrize(
    ("variant", "split", "told"),
    [("patrial", "pooled", "variant='patrial'"), ("partial", "folder", "split='folder'")],
)
def test_wrong_names_are_told(phantoms: Path, variant: str, split: str, told: str) -> None:
    with pytest.raises(em.EdgeMelanomaError, match=told):
        em.train(phantoms, variant=variant, split=split)
