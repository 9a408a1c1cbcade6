"""Every dependency has a lower and an upper bound, and says why it is there."""

import re
import tomllib
from pathlib import Path

import pytest

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(r'^\s+"(?P<name>[a-z0-9-]+)(?P<bounds>[^";]*)(?:;[^"]*)?",(?P<reason>.*)$')


def _requirements() -> list[re.Match[str]]:
    text = PYPROJECT.read_text(encoding="utf-8")
    table = text[text.index("\ndependencies = [") : text.index("[project.scripts]")]
    return [match for line in table.splitlines() if (match := REQUIREMENT.match(line))]


def test_all_requirements_are_looked_at() -> None:
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    assert len(_requirements()) == len(project["dependencies"]) + sum(map(len, extras))


@pytest.mark.parametrize("requirement", _requirements(), ids=lambda match: match["name"])
def test_a_requirement_has_both_bounds_and_a_reason(requirement: re.Match[str]) -> None:
    bounds = requirement["bounds"]
    assert "==" in bounds or (">=" in bounds and "<" in bounds), requirement[0]
    assert "#" in requirement["reason"], requirement[0]


def test_the_build_has_both_bounds() -> None:
    (build,) = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["build-system"]["requires"]
    assert re.fullmatch(r"setuptools>=\d+,<\d+", build)
