"""Hold the short form of the main job to what it must show, from its JSON and its page."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(json_file: str, page: str) -> None:
    """Exit with a message if the comparison does not show what it must."""
    record = json.loads(Path(json_file).read_text("utf-8"))
    assert record["task"] == "digits"
    assert not record["interrupted"]
    assert {network["activation"] for network in record["networks"]} == {"tanh", "relu"}
    for network in record["networks"]:
        methods = network["methods"]
        kinds = {name: {f["kind"] for f in arm["findings"] if f["level"] == "error"} for name, arm in methods.items()}
        assert len(methods) == 10, sorted(methods)
        assert methods["zeros"]["score"]["mean"] <= 0.15
        assert abs(methods["equal"]["score"]["mean"] - network["width_one"]) <= 0.02
        assert "symmetric" in kinds["equal"]
        assert "vanishing" in kinds["fan_in_uniform"]
        assert methods["auto"]["score"]["mean"] >= 0.9
        assert not kinds["auto"]
        if network["activation"] == "tanh":
            assert "saturated" in kinds["normal(std=1)"]
    text = Path(page).read_text("utf-8")
    assert text.rstrip().endswith("</html>")
    assert "<svg" in text
    print(f"main job: {record['seconds']:.1f} s, JSON and page as they must be")


if __name__ == "__main__":
    main(*sys.argv[1:])
