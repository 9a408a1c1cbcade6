"""Errors that cross the border between processes arrive as they were."""

import pickle
from importlib import metadata
from types import SimpleNamespace

import pytest

from edge_melanoma.errors import EdgeMelanomaError, MissingExtraError, install_command
from edge_melanoma.machine.processes import child_died


@pytest.mark.parametrize(
    "error",
    [
        EdgeMelanomaError("One sentence."),
        MissingExtraError.for_package("tensorflow", extra="train", purpose="This command"),
        child_died(),
    ],
)
def test_every_error_survives_the_way_out_of_a_child_process(error: EdgeMelanomaError) -> None:
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)


def test_a_missing_package_is_named_with_the_command_that_brings_it() -> None:
    error = MissingExtraError.for_package("tensorflow", extra="train", purpose="This command")
    assert str(error) == (
        "This command needs the package tensorflow, which is not installed; "
        f"install it with: {install_command('train')}"
    )


@pytest.mark.parametrize(
    ("stated", "command"),
    [
        ('{"url": "file:///src/my%20checkout"}', "pip install '/src/my checkout[train]'"),
        ('{"url": "file:///a/edge.whl"}', "pip install '/a/edge.whl[train]'"),
        (
            '{"url": "https://host/x.git"}',
            "pip install 'edge-melanoma[train] @ https://host/x.git'",
        ),
        (None, "pip install '.[train]' in the folder of edge-melanoma"),
    ],
)
def test_an_extra_is_installed_from_where_the_package_came(
    stated: str | None, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = SimpleNamespace(read_text=lambda name: stated)
    monkeypatch.setattr(metadata, "distribution", lambda name: found)
    assert install_command("train") == command
