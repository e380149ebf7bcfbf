"""Trainings a minute in the lab, against the plain loop that a user would write by hand.

Run: python benchmarks/compare.py. Prints one line of JSON; no test reads it. Both sides train the same starting weights
on the same batches in the same process, in turns, and the ratio is the median over the turns.
"""

from __future__ import annotations

import json
import platform
import statistics
import time

import torch

import wellbegun as wb
from wellbegun.lab.network import PlainMLP
from wellbegun.lab.tasks import load_task
from wellbegun.lab.trials.order import batches
from wellbegun.lab.trials.together import train_together

COPIES, STEPS, BATCH, TURNS = 40, 50, 64, 5


def main() -> None:
    task = load_task("digits")
    model = PlainMLP(task.inputs, task.outputs, depth=20, width=64, activation="tanh")
    states = []
    for seed in range(COPIES):
        wb.initialize(model, torch.from_numpy(task.train.inputs), seed=seed, overwrite=True)
        states.append({name: p.detach().clone() for name, p in model.named_parameters()})
    rows, labels = torch.from_numpy(task.train.inputs), torch.from_numpy(task.train.targets)

    def together() -> None:
        train_together(model, states, [0.005] * COPIES, task, seed=0, steps=STEPS, batch=BATCH, every=STEPS)

    def one_by_one() -> None:
        for state in states:
            model.load_state_dict(state)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
            for index in batches(len(rows), BATCH, STEPS, seed=0):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(rows[index]), labels[index]).backward()
                optimizer.step()

    def seconds(work) -> float:  # type: ignore[no-untyped-def]
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    together(), one_by_one()
    pairs = [(seconds(together), seconds(one_by_one)) for _ in range(TURNS)]
    result = {
        "ratio": round(statistics.median(loop / lab for lab, loop in pairs), 2),
        "lab_trainings_a_minute": round(60 * COPIES / statistics.median(lab for lab, _ in pairs)),
        "loop_trainings_a_minute": round(60 * COPIES / statistics.median(loop for _, loop in pairs)),
        "what": f"{COPIES} copies of a 20-layer tanh MLP of width 64, {STEPS} steps of batch {BATCH}, {TURNS} turns",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
