"""Melanoma classifiers for phones, with proof that the quantised file is as good as the network.

The functions of `edge_melanoma.api` are here too, loaded when they are first asked for.
"""

from importlib import import_module

__version__ = "0.1.0"
__all__ = [
    "EdgeMelanomaError",
    "bench",
    "check_data",
    "evaluate",
    "export",
    "import_keras",
    "load",
    "predict",
    "train",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("edge_melanoma.api"), name)
    raise AttributeError(f"module 'edge_melanoma' has no attribute '{name}'")


def __dir__() -> list[str]:
    """With the functions, so that notebooks complete their names."""
    return sorted({*globals(), *__all__})
