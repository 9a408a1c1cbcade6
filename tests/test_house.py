"""The house keeps its order: packages, names and layers."""

import re
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
LARGEST_PACKAGE = 16
NO_NOUNS = ("_run", "_tables", "_options", "_utils", "_helpers")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _modules() -> list[Path]:
    folders = (ROOT / name for name in ("edge_melanoma", "converters", "benchmarks"))
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    linked = [ROOT / "edge_melanoma" / name for name in ("converters", "benchmarks")]
    return [
        path
        for path in paths
        if path.stat().st_size and not any(path.is_relative_to(link) for link in linked)
    ]


def test_no_package_has_more_files_than_a_page_shows() -> None:
    sizes = Counter(path.parent.relative_to(ROOT).as_posix() for path in _modules())
    assert {name: size for name, size in sizes.items() if size > LARGEST_PACKAGE} == {}


def test_every_file_is_named_after_what_it_is() -> None:
    names = [path.stem for path in _modules()]
    assert [name for name in names if name.endswith(NO_NOUNS) or name in {"utils", "common"}] == []


def test_the_layers_are_named_by_package_and_fit_on_twelve_lines() -> None:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c.get("containers") == ["edge_melanoma"])
    assert len(layers) <= 12
    named = {name.strip() for line in layers for name in line.split("|")}
    packages = {path.parent.name for path in (ROOT / "edge_melanoma").glob("*/__init__.py")}
    assert packages | {"converters", "benchmarks", "cli", "api"} == named


def test_scripts_that_measure_are_no_package() -> None:
    assert not (ROOT / "benchmarks" / "measurements" / "__init__.py").exists()
    packages = PYPROJECT["tool"]["setuptools"]["packages"]
    assert not [name for name in packages if name.endswith("measurements")]


def test_the_page_of_the_house_names_files_that_are_there() -> None:
    page = (ROOT / "docs" / "develop.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`([a-z_/0-9]+\.py)`", page) if "/" in name}
    assert len(named) > 20
    places = (ROOT, ROOT / "edge_melanoma")
    assert [name for name in sorted(named) if not any((p / name).is_file() for p in places)] == []
