"""Draws docs/tasks.png: samples of every task that is made of pictures. The sets are fetched on first use.

The figure is not kept with the code, since it is made of the data, which have licences of their own.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from wellbegun.lab.tasks import load_task
from wellbegun.lab.tasks.image import photograph

NAMES = ("digits-images", "mnist5k", "mnist", "fashion", "faces", "cats-dogs", "cifar10", "mri")
EACH = 10


def main() -> None:
    """Write the figure."""
    figure, axes = plt.subplots(len(NAMES) + 1, EACH, figsize=(10, 10))
    for row, name in zip(axes, NAMES, strict=False):
        part = load_task(name).train
        for axis, i in zip(row, np.linspace(0, len(part) - 1, EACH).astype(int), strict=True):
            picture = part.inputs[i].transpose(1, 2, 0)
            low, high = picture.min(), picture.max()
            axis.imshow((picture - low) / (high - low), cmap="gray")
            if name == "mri":
                axis.contour(part.targets[i, 0], levels=[0.5], colors="tab:red", linewidths=1)
        row[0].set_title(name, loc="left", fontsize=9)
    axes[-1][0].imshow(photograph(), cmap="gray")
    axes[-1][0].set_title("image", loc="left", fontsize=9)
    for axis in axes.flat:
        axis.axis("off")
    figure.tight_layout(pad=0.3)
    figure.savefig(Path(__file__).with_name("tasks.png"), dpi=90)


if __name__ == "__main__":
    main()
