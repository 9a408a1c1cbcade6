"""README and docs: links lead somewhere, named commands and options exist, and commands run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import api_page
import pytest
import typer
from made import made_once
from PIL import Image

from edge_melanoma.cli import app
from edge_melanoma.data.phantoms import write_phantoms

ROOT = Path(__file__).parents[2]
README = "README.md"
PAGES = (README, *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/*.md"))))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"edge-melanoma ([a-z][^`\n]*)")
SHORTER = {
    "train": "--variant frozen --epochs 1",
    "export": "--calibration-images 10",
    "bench": "--runs 2 --warmup 0",
}
"""What else takes minutes to hours; a training needs no ImageNet weights here either."""


def read_page(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in LINK.findall(BLOCK.sub("", read_page(page))):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), f"{page} links to {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(anchor_of, headings), f"{page} links to {link}"


def anchor_of(heading: str) -> str:
    """As code hosts make it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_named_commands_and_options_exist(page: str) -> None:
    for text in COMMAND.findall(read_page(page)):
        words = text.partition("#")[0].split()
        found: Any = typer.main.get_command(app)
        while words and hasattr(found, "commands"):
            assert words[0] in found.commands, f"{page}: edge-melanoma {text}"
            found = found.commands[words.pop(0)]
        known = {name for parameter in found.params for name in parameter.opts} | {"--help"}
        known |= {name for parameter in found.params for name in parameter.secondary_opts}
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text.partition("#")[0]):
            assert option in known, f"{page}: edge-melanoma {text} has no {option}"


def test_the_python_page_is_made_from_the_docstrings() -> None:
    assert api_page.PAGE.read_text(encoding="utf-8") == api_page.render()


def commands_of(page: str) -> Iterator[str]:
    """Those of its blocks of shell; packages are installed by whoever runs the tests."""
    for language, block in BLOCK.findall(read_page(page)):
        for line in block.splitlines() if language == "sh" else ():
            if line.strip() and not line.startswith(("pip ", "#")):
                yield line.partition("  #")[0].strip()


def own_commands_of(page: str) -> list[str]:
    """Those that no page before it has: the README and the quick start share most of theirs."""
    earlier = {command for one in PAGES[: PAGES.index(page)] for command in commands_of(one)}
    return [command for command in commands_of(page) if command not in earlier]


@pytest.fixture(scope="session")
def workspace(shared_folder: Path) -> Path:
    """What the README's quick start leaves, which the other pages take for granted."""
    pytest.importorskip("tensorflow")
    return made_once(shared_folder / "documents", _follow_readme)


def _follow_readme(folder: Path) -> None:
    for name, seed in (("photos", 1), ("clinic", 2)):
        write_phantoms(folder / name, count=60, seed=seed, size=96)
    with Image.open(next((folder / "photos" / "malignant").iterdir())) as picture:
        picture.convert("RGB").save(folder / "photo.jpg")
    for command in own_commands_of(README):
        run_in(folder, command)


@pytest.mark.documents
@pytest.mark.parametrize("page", [page for page in PAGES if any(commands_of(page))])
def test_commands_run(page: str, workspace: Path, tmp_path: Path) -> None:
    if page != README:
        folder = shutil.copytree(workspace, tmp_path / "work")
        shutil.rmtree(folder / "bundle")
        for command in own_commands_of(page):
            run_in(folder, command)


def shorten(command: str) -> str:
    """The same command on less: of an option that is given twice the last one holds."""
    name = shlex.split(command)[1]
    no_weights = "--weights none" if name == "train" and "--weights" not in command else ""
    return f"{command} {SHORTER.get(name, '')} {no_weights}".strip()


def run_in(folder: Path, command: str) -> None:
    """Run a line as a shell would; a bench of a training so short may miss its contract."""
    command = shorten(command)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    allowed = (0, 1) if shlex.split(command)[1:2] == ["bench"] else (0,)
    assert done.returncode in allowed, f"{command}\n{done.stdout}{done.stderr}"
