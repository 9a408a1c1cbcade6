"""What `train --strategy multiworker` asks for, and what it does not go together with."""

from dataclasses import replace

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.training.session import TrainingOrder


def order_of_worker(order: TrainingOrder) -> TrainingOrder:
    """The order of a worker, which always goes on where a checkpoint is.

    A batch engine that starts a lost worker again gives it the command that it gave before.

    Raises:
        EdgeMelanomaError: no --out, several variants, or --force.
    """
    if order.out is None:
        raise EdgeMelanomaError(
            "--strategy multiworker needs --out DIR, one folder that all workers share."
        )
    if len(order.variants) > 1:
        raise EdgeMelanomaError(
            "--strategy multiworker trains one variant at a time; name it with --variant."
        )
    if order.force:
        raise EdgeMelanomaError(
            "--force would begin anew with every worker that is started again; remove the folder "
            f"{order.out}, or choose another --out."
        )
    return replace(order, resume=True)
