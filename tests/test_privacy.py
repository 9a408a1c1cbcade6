"""Nothing is sent, and nothing of a picture but its pixels is kept."""

import getpass
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made import draw_pictures
from PIL import Image

from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.environment import describe_environment, portable_path
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.runs.pictures import read_run_records

PATIENT = "Jane Q. Patient"
HOSTILE = "<img src=x onerror=alert(1)>.jpg"
LATITUDE = 2
PLACE = (51, 1, 30, 1, 26, 1)
"""Degrees, minutes and seconds as EXIF has them: numerators and denominators."""
EVENTS = (
    "import sys\n"
    "def refuse(event, arguments):\n"
    "    if event == 'socket.getaddrinfo' or (\n"
    "        event in {'socket.connect', 'socket.sendto'} and isinstance(arguments[1], tuple)\n"
    "    ):\n"
    "        raise PermissionError(f'{event} {arguments}')\n"
    "sys.addaudithook(refuse)\n"
)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs that name a patient and a place, one with a name that is a piece of HTML."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = draw_pictures(tmp_path / "data", *range(24))
    exif = Image.Exif()
    exif[0x013B] = PATIENT
    exif.get_ifd(0x8825)[LATITUDE] = tuple(map(float, PLACE[::2]))
    for path in sorted(folder.rglob("*.png")):
        Image.open(path).save(path.with_suffix(".jpg"), exif=exif)
        path.unlink()
    (folder / "benign" / "1.jpg").rename(folder / "benign" / HOSTILE)
    # A copy, so that its picture and its name are shown.
    (folder / "benign" / "copy.jpg").write_bytes((folder / "benign" / HOSTILE).read_bytes())
    return folder


def tells_of_patient(path: Path) -> bool:
    """Whether a file holds the patient's name, or the place in either order of bytes."""
    data = path.read_bytes()
    secrets = (PATIENT.encode(), struct.pack("<6I", *PLACE), struct.pack(">6I", *PLACE))
    return any(secret in data for secret in secrets)


def test_a_page_about_data_keeps_no_metadata_no_absolute_path_and_no_html_of_a_file_name(
    edge_melanoma: Callable[..., Any], pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    page, table = out / "page.html", out / "table.json"
    assert tells_of_patient(pictures / "benign" / HOSTILE)
    result = edge_melanoma("data", "check", pictures, "--html", page, "--json", table)
    assert result.exit_code == 0, result.stderr
    kept = [path for folder in (out, tmp_path / "cache") for path in folder.rglob("*")]
    written = [path for path in kept if path.is_file()]
    assert {page, table} < set(written), "the fingerprints are kept too"
    assert [path for path in written if tells_of_patient(path)] == []
    text = page.read_text()
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "<img src=x" not in text
    assert str(tmp_path) not in text


@pytest.mark.slow
def test_no_file_of_a_run_keeps_metadata_or_html_of_a_file_name(
    edge_melanoma: Callable[..., Any], pictures: Path, tmp_path: Path
) -> None:
    run, caches = tmp_path / "run", tmp_path / "cache"
    recipe = ("--variant", "frozen", "--weights", "none", "--epochs", 1, "--cache-dir", caches)
    for arguments in (
        ("train", "--data", pictures, "--out", run, *recipe),
        ("export", run, "--quantize", "int8", "--calibration-images", 10),
        ("bench", run, "--data", pictures, "--runs", 2, "--html", tmp_path / "page.html"),
        ("card", run),
    ):
        result = edge_melanoma(*arguments)
        assert result.exit_code in {0, 1}, result.stderr
    kept = [path for folder in (run, caches) for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".f16" for path in kept), "activations are among them"
    assert [path for path in kept if tells_of_patient(path)] == []
    for page in [path for path in kept if path.suffix in {".html", ".md"}]:
        assert "<img src=x" not in page.read_text()


def test_a_run_and_its_exports_tell_no_place_of_this_machine(exported_run: TrainedModel) -> None:
    """Below a folder that is named after the user, as those of pytest are."""
    base = Path(tempfile.gettempdir(), f"pytest-of-{getpass.getuser()}")
    assert exported_run.folder.is_relative_to(base)
    assert telling_files(exported_run.folder, base.name, str(Path.home())) == []
    (told,) = exported_run.manifest["dataset"]["folders"].values()
    assert not Path(told).is_absolute()
    assert read_run_records(exported_run)


def test_pictures_are_found_from_a_copy_elsewhere_and_without_notes(
    exported_run: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "deeper" / "copy"
    shutil.copytree(exported_run.folder, copy)
    assert read_run_records(open_run(copy)) == read_run_records(exported_run)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "none"))
    assert read_run_records(exported_run)
    with pytest.raises(EdgeMelanomaError, match=r"phantoms of the run .* put it back, or link it"):
        read_run_records(open_run(copy))


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("/work/data/set", "../../data/set"),
        ("/work/runs/x/set", "set"),
        ("/srv/clinic/set", "set"),
        ("/home/anna/set", "set"),
        ("/work/anna/set", "set"),
    ],
)
def test_a_path_tells_neither_root_nor_user(
    folder: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert portable_path(folder, start=Path("/work/runs/x")) == told


def test_a_command_is_told_without_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.chdir(tmp_path)
    words = ["train", "--data", "/home/anna/set", "--external=ph2=/srv/x/ph2", "--out", "runs/a"]
    words += ["--labels", "a=/b=c/d.csv", "--seed=1", str(tmp_path / "here"), "../../anna/x"]
    monkeypatch.setattr(sys, "argv", ["/home/anna/bin/edge-melanoma", *words])
    assert describe_environment()["command"] == (
        "edge-melanoma train --data set --external=ph2=ph2 --out runs/a --labels a=d.csv --seed=1 "
        "here x"
    )


@pytest.mark.slow
def test_whatever_is_handed_on_tells_no_place_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole commands with absolute paths everywhere, below a home of a telling name."""
    home = tmp_path / "anna-weber"
    data, outside, run, out = (home / name for name in ("data", "outside", "run", "out"))
    write_phantoms(data, count=60, seed=1, size=96)
    write_phantoms(outside, count=40, seed=2, size=96)
    out.mkdir()
    (home / "limits.toml").write_text("[int8]\nmax_recall_drop = 1.0\n")
    environment = {**os.environ, "HOME": str(home), "USER": "anna-weber"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "c"), "XDG_STATE_HOME": str(tmp_path / "s")}
    recipe = ["--variant", "frozen", "--weights", "none", "--epochs", "1", "--out", run]
    model = run / "exports" / "model_int8.tflite"
    external = f"beside={outside}"
    for arguments in (
        ["train", "--data", data, "--external", external, *recipe],
        ["export", run, "--quantize", "float16", "--quantize", "int8"],
        ["bench", run, "--runs", "2", "--external", external, "--contract", home / "limits.toml"],
        ["bench", run, "--runs", "2", "--html", out / "b.html", "--junit", out / "b.xml"],
        ["evaluate", run, "--data", outside, "--out", out / "evaluated", "--json", out / "e.json"],
        ["evaluate", model, "--data", outside, "--json", out / "model.json"],
        ["predict", model, "outside", "--recursive", "--csv", out / "p.csv"],
        ["threshold", run, "--json", out / "t.json"],
        ["calibrate", run, "--out", home / "calibrated"],
        ["card", run],
        ["report", run, "--out", out / "report.html"],
        ["android", run, "--out", out / "android"],
        ["web", run, "--out", out / "web"],
        ["commission", run, "--data", outside, "--out", "out/own", "--json", out / "c.json"],
        ["inspect", model, "--json", out / "i.json"],
        ["data", "check", data, outside, "--html", out / "d.html", "--json", out / "d.json"],
        ["doctor", "--json", out / "doctor.json"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "edge_melanoma", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=home,
            env=environment,
        )
        assert done.returncode in {0, 1}, (arguments, done.stderr)
        assert "Traceback" not in done.stderr, (arguments, done.stderr)
    for folder in (run, out, home / "calibrated"):
        assert any(folder.iterdir())
        assert telling_files(folder, home.name, str(tmp_path)) == []


def telling_files(folder: Path, *secrets: str) -> list[Path]:
    """The files that have one of these texts in them, whatever their kind."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(s.encode() in path.read_bytes() for s in secrets)]


def test_thumbnails_have_no_metadata(pictures: Path) -> None:
    import base64
    import io

    from edge_melanoma.benchmarks.report.page import _encode
    from edge_melanoma.data.listing import read_lesions

    uri = _encode(read_lesions(pictures)[0])
    data = base64.b64decode(uri.partition("base64,")[2])
    with Image.open(io.BytesIO(data)) as image:
        assert dict(image.getexif()) == {}
    assert PATIENT.encode() not in data


def test_no_command_of_the_light_core_opens_a_network_socket(
    pictures: Path, tmp_path: Path
) -> None:
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(EVENTS)
    picture = next((pictures / "malignant").iterdir())
    for arguments in (
        ["predict", "bundled", str(picture)],
        ["verify", "bundled"],
        ["data", "check", str(pictures), "--json", str(tmp_path / "table.json")],
    ):
        result = _run_guarded(guard, "-m", "edge_melanoma", *arguments)
        assert result.returncode == 0, result.stderr


def test_the_guard_sees_an_attempt(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(EVENTS)
    code = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')"
    result = _run_guarded(tmp_path, "-c", code)
    assert "PermissionError: socket.getaddrinfo" in result.stderr


@pytest.mark.slow
def test_the_whole_demonstration_opens_no_network_socket(tmp_path: Path) -> None:
    """Training, export and bench, children too; its page names no folder of this machine."""
    (tmp_path / "sitecustomize.py").write_text(EVENTS)
    out = tmp_path / "demo"
    result = _run_guarded(tmp_path, "-m", "edge_melanoma", "demo", "--out", str(out))
    assert result.returncode == 0, result.stderr
    pages = list(out.rglob("*.html"))
    assert pages
    assert [page for page in pages if str(tmp_path) in page.read_text()] == []


def _run_guarded(guard: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Under a guard that children inherit, and without any network where that may be cut off."""
    import os

    path = os.pathsep.join([str(guard), *filter(None, [os.environ.get("PYTHONPATH")])])
    alone = ["unshare", "-n"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode != 0:
        alone = []
    return subprocess.run(
        [*alone, sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
