"""Model types that are not walked, and why."""

from __future__ import annotations

TIMM = "needs the library timm"

UNBUILT: dict[str, str] = {}
