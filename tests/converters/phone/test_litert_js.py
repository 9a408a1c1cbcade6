"""Packages that a lock file pins, by a stand-in for npm that fails until it is let."""

from pathlib import Path

import pytest

from edge_melanoma.converters.phone.web_page import install_locked
from edge_melanoma.errors import EdgeMelanomaError


def test_a_failed_installation_is_begun_anew_and_a_finished_one_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, folder, tools = (tmp_path / name for name in ("sources", "folder", "tools"))
    sources.mkdir()
    tools.mkdir()
    for name in ("package.json", "package-lock.json"):
        (sources / name).write_text("{}")
    npm = tools / "npm"
    npm.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    with pytest.raises(EdgeMelanomaError, match=r"^npm ci failed: no network\.$"):
        install_locked(sources, folder)
    npm.write_text("#!/bin/sh\nmkdir node_modules\n")
    assert install_locked(sources, folder).is_dir()
    npm.write_text("#!/bin/sh\nexit 1\n")
    assert install_locked(sources, folder) == folder / "node_modules"
    (sources / "package-lock.json").write_text('{"other": 1}')
    with pytest.raises(EdgeMelanomaError, match="without a word"):
        install_locked(sources, folder)
