"""The digits: really there, split once, standardised by the training rows alone."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from wellbegun.errors import UnknownNameError
from wellbegun.lab.tasks import load_task


def test_digits_are_split_without_overlap() -> None:
    task = load_task("digits")
    sizes = [len(split.targets) for split in (task.train, task.validation, task.test)]
    assert sizes == [1000, 400, 397]
    rows = np.concatenate([task.train.inputs, task.validation.inputs, task.test.inputs])
    assert rows.shape == (1797, 64)
    assert len(np.unique(rows, axis=0)) == 1797  # no image is in two splits
    assert all(set(np.unique(split.targets)) == set(range(10)) for split in (task.train, task.validation, task.test))


def test_the_split_never_changes() -> None:
    first, second = load_task("digits"), load_task("digits")
    assert np.array_equal(first.test.inputs, second.test.inputs)


def test_columns_are_standardised_by_the_training_rows() -> None:
    task = load_task("digits")
    varying = task.train.inputs.std(0) > 0
    assert varying.sum() >= 60
    assert np.allclose(task.train.inputs.mean(0), 0, atol=1e-5)
    assert np.allclose(task.train.inputs[:, varying].std(0), 1, atol=1e-4)


def test_a_linear_model_reaches_its_known_score() -> None:
    """A broken loader would not: logistic regression has about 96% on these images."""
    task = load_task("digits")
    model = LogisticRegression(max_iter=500).fit(task.train.inputs, task.train.targets)
    assert model.score(task.test.inputs, task.test.targets) == pytest.approx(0.96, abs=0.02)


def test_unknown_task_offers_the_closest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        load_task("digit")
