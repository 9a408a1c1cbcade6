"""Where what was found out about copies is kept between commands."""

from pathlib import Path

from edge_melanoma.environment import package_version


def copies_cache_folder() -> Path | None:
    """The user's cache folder; none in the light core, which keeps nothing."""
    if package_version("platformdirs") is None or package_version("filelock") is None:
        return None
    from edge_melanoma.activations import default_cache_folder

    return default_cache_folder()
