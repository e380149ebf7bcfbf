"""Run PyTorch's own tests of torch.nn.init against wellbegun.nn_init.

    python tests/nn_init/upstream.py path/to/pytorch/test/nn/test_init.py

The file is in PyTorch's source tree (test/nn/test_init.py) and not in its wheel, so the path has to be given. It needs
the packages scipy and expecttest. Slow tests are included. Prints "N passed", and fails unless all do.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import unittest
from pathlib import Path
from types import ModuleType


def load(path: Path) -> ModuleType:
    """Load the test file with our module in place of torch.nn.init, which comes back afterwards."""
    os.environ["PYTORCH_TEST_WITH_SLOW"] = "1"
    import torch

    from wellbegun import nn_init

    spec = importlib.util.spec_from_file_location("upstream_test_init", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    theirs = torch.nn.init
    sys.modules["torch.nn.init"] = torch.nn.init = nn_init
    try:
        spec.loader.exec_module(module)
    finally:
        sys.modules["torch.nn.init"] = torch.nn.init = theirs
    if module.init is not nn_init:
        raise SystemExit(f"{path} does not hold the module under test as `init`: nothing of ours would be tested")
    return module


def main() -> int:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    suite = unittest.defaultTestLoader.loadTestsFromModule(load(Path(sys.argv[1])))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 0 if result.testsRun and not failed and not skipped else 1


if __name__ == "__main__":
    sys.exit(main())
