"""Where fetched data are kept."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "WELLBEGUN_DATA"
"""Environment variable that names another folder, for example one that a cluster's machines share."""


def cache_folder() -> Path:
    """Return the folder that fetched data are kept in; it may not exist yet."""
    import platformdirs

    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("wellbegun") / "data"
