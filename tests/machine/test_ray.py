"""Ray's start and end: what it is bound to, and the sentences where it cannot serve."""

import sys
from pathlib import Path

import pytest

from edge_melanoma.commands.options import choose_ray
from edge_melanoma.errors import EdgeMelanomaError, MissingExtraError, install_command
from edge_melanoma.machine.ray import RayWorkers, connect, import_ray
from edge_melanoma.runtime.names import Engine

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}
"""127.0.0.1 and ::ffff:127.0.0.1, as /proc writes them."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ray is told by variables is forgotten again."""
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):
        monkeypatch.setenv(name, "")


def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as caught:
        import_ray(loopback=True)
    assert str(caught.value) == (
        "--engine ray needs the package ray, which is not installed; "
        f"install it with: {install_command('ray')}"
    )


@pytest.mark.parametrize(
    ("workers", "address", "option"), [(2, None, "--workers"), (None, "auto", "--address")]
)
def test_options_of_ray_need_the_engine(
    workers: int | None, address: str | None, option: str
) -> None:
    chosen = choose_ray(Engine.RAY, workers=workers, address=address)
    assert chosen == RayWorkers(count=workers, address=address)
    with pytest.raises(EdgeMelanomaError) as caught:
        choose_ray(Engine.LOCAL, workers=workers, address=address)
    assert str(caught.value) == f"{option} is for --engine ray; give that too, or leave it out."


@pytest.mark.slow
def test_every_port_is_bound_to_loopback_and_nothing_is_told() -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    before = listening()
    with connect(None, workers=2) as ray:
        assert ray.cluster_resources()["CPU"] >= 2
        opened = listening() - before
    assert opened
    assert {address for address, _ in opened} <= LOOPBACK
    assert not ray.is_initialized()


def listening() -> set[tuple[str, str]]:
    """Addresses and ports of this machine that something listens on, as /proc has them."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == "0A":
                address, port = local.split(":")
                sockets.add((address, port))
    return sockets
