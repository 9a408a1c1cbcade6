"""Errors that cross the border between processes arrive as they were."""

import pickle

import pytest

from edge_melanoma.errors import EdgeMelanomaError, MissingExtraError
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
        "install it with: pip install 'edge-melanoma[train]'"
    )
