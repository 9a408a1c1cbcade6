"""What goes together with --shard and what does not."""

from collections.abc import Mapping
from pathlib import Path

from edge_melanoma.data.scoring_shard import Shard, parse_shard
from edge_melanoma.errors import EdgeMelanomaError


def choose_part(word: str, json: Path | None, others: Mapping[str, object]) -> tuple[Shard, Path]:
    """The shard and the file of its part; `others` are options that only the whole can have.

    Raises:
        EdgeMelanomaError: no shard, no file, or one of the others was given.
    """
    shard = parse_shard(word)
    if json is None:
        raise EdgeMelanomaError(
            f"--shard {word} needs --json FILE, where its part is written for edge-melanoma merge."
        )
    for option, value in others.items():
        if value:
            raise EdgeMelanomaError(
                f"{option} is not for one part of a set; leave it out beside --shard, and give it "
                f"to edge-melanoma merge where that has it."
            )
    return shard, json
