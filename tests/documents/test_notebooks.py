"""The notebooks run from the first cell to the last, on generated pictures."""

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))
LONGEST_CELL_SECONDS = 1800


@pytest.mark.documents
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorflow")
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for name in ("NOTEBOOK_DATA", "NOTEBOOK_MODEL"):
        monkeypatch.delenv(name, raising=False)
    content = nbformat.read(notebook, as_version=4)
    assert not any(cell.get("outputs") for cell in content.cells), "committed without outputs"
    client = nbclient.NotebookClient(
        content, timeout=LONGEST_CELL_SECONDS, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [output for cell in content.cells for output in cell.get("outputs", ())]
    assert any("text/html" in output.get("data", {}) for output in shown)
