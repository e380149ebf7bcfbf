"""Each task against a score that a broken loader would miss, and the user's own data."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from wellbegun.errors import ArgumentError, DataError
from wellbegun.lab.data import fetch_set, find_set
from wellbegun.lab.tasks import load_task
from wellbegun.lab.tasks.faces import mended, read_faces
from wellbegun.lab.tasks.folder import load_folder
from wellbegun.lab.tasks.text import read_shakespeare


def require_set(name: str) -> None:
    try:
        fetch_set(find_set(name))
    except DataError as error:
        pytest.skip(f"the data cannot be fetched: {error}")


def flat(split) -> np.ndarray:
    return split.inputs.reshape(len(split), -1)


def test_no_linear_model_solves_the_quadratic_task() -> None:
    task = load_task("quadratic")
    model = LogisticRegression().fit(flat(task.train), task.train.targets)
    assert model.score(flat(task.test), task.test.targets) < 0.3
    squares = [(x[:, :, None] * x[:, None, :]).reshape(len(x), -1) for x in (task.train.inputs, task.test.inputs)]
    solved = LogisticRegression(max_iter=300).fit(squares[0], task.train.targets)
    assert solved.score(squares[1], task.test.targets) > 0.9


def test_the_text_follows_itself() -> None:
    task = load_task("text-small")
    assert task.spec == "tokens:64"
    assert np.array_equal(task.train.inputs[:, 1:], task.train.targets[:, :-1])
    assert np.array_equal(task.train.inputs[1:, 0], task.train.targets[:-1, -1])
    assert task.chance == pytest.approx(np.log(task.outputs))


def test_the_photograph_is_a_field_of_which_no_pixel_is_in_two_parts() -> None:
    task = load_task("image")
    places = np.concatenate([task.train.inputs, task.validation.inputs, task.test.inputs])
    assert len(np.unique(places, axis=0)) == len(places) == 128 * 128
    assert task.chance == pytest.approx(10.74, abs=0.01)


def test_a_change_of_line_ends_in_a_face_is_undone() -> None:
    pixels = np.arange(112)[:, None] + np.arange(92)[None] // 2
    pixels = pixels.astype(np.uint8)
    pixels[(pixels == 10) | (pixels == 13)] = 11
    pixels[50, 30] = pixels[60, 31] = 10
    pixels[70, 40] = 13
    body = pixels.tobytes()
    damaged = (b"P5\n92 112\n255\n" + body).replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    expected = pixels.copy()
    expected[70, 40] = 10  # CR and LF cannot be told apart afterwards
    assert np.array_equal(mended(damaged), expected)
    with pytest.raises(DataError, match="should have 10304 pixels, and this file has 10303"):
        mended(b"P5\n92 112\n255\n" + body[1:])


@pytest.mark.slow
def test_nearest_neighbours_have_their_known_score_on_mnist5k() -> None:
    require_set("mnist5k")
    task = load_task("mnist5k")
    known = np.concatenate([flat(task.train), flat(task.validation)])
    labels = np.concatenate([task.train.targets, task.validation.targets])
    score = KNeighborsClassifier(1).fit(known, labels).score(flat(task.test), task.test.targets)
    assert score == pytest.approx(0.935, abs=0.01)


@pytest.mark.slow
def test_nearest_neighbours_have_their_known_score_on_faces() -> None:
    require_set("faces")
    faces = read_faces().reshape(40, 10, -1).astype(np.float32)
    people = np.repeat(np.arange(40), 5)
    model = KNeighborsClassifier(1).fit(faces[:, :5].reshape(200, -1), people)
    assert model.score(faces[:, 5:].reshape(200, -1), people) == 0.9


@pytest.mark.slow
def test_shakespeare_is_whole_and_bigrams_have_their_known_score() -> None:
    require_set("text")
    text = read_shakespeare()
    assert (len(text), len(set(text))) == (5_057_239, 84)
    task = load_task("text")
    counts = np.ones((84, 84))
    np.add.at(counts, (task.train.inputs.ravel(), task.train.targets.ravel()), 1)
    chances = counts / counts.sum(1, keepdims=True)
    nats = -np.log(chances[task.test.inputs, task.test.targets]).mean()
    assert nats == pytest.approx(2.54, abs=0.08)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "spec", "sizes"),
    [
        ("mnist", "image:1x28x28", (55_000, 5_000, 10_000)),
        ("fashion", "image:1x28x28", (55_000, 5_000, 10_000)),
        ("cats-dogs", "image:3x32x32", (9_000, 1_000, 2_000)),
        ("cifar10", "image:3x32x32", (45_000, 5_000, 10_000)),
        ("mri", "image:1x48x40", (1_200, 200, 300)),
    ],
)
def test_large_sets_have_their_sizes_and_scale(name, spec, sizes) -> None:
    require_set("cifar10" if name == "cats-dogs" else name)
    task = load_task(name)
    assert task.spec == spec
    assert (len(task.train), len(task.validation), len(task.test)) == sizes
    assert abs(task.train.inputs.mean()) < 1e-3
    assert task.train.inputs.std() == pytest.approx(1, abs=1e-3)


def write_pictures(folder, sizes=((10, 12),), mode="L", count=8) -> None:
    generator = np.random.default_rng(0)
    for label, grey in (("bright", 200), ("dark", 50)):
        (folder / label).mkdir(parents=True)
        for i in range(count):
            height, width = sizes[i % len(sizes)]
            values = generator.integers(grey - 20, grey + 20, (height, width), dtype=np.uint8)
            Image.fromarray(values).convert(mode).save(folder / label / f"{i}.png")


def test_a_folder_of_pictures_is_a_task(tmp_path) -> None:
    write_pictures(tmp_path)
    task = load_task(str(tmp_path))
    assert (task.spec, task.names, task.outputs) == ("image:1x10x12", ("bright", "dark"), 2)
    for part in (task.train, task.validation, task.test):
        assert set(part.targets.tolist()) == {0, 1}
        assert ((part.inputs.mean((1, 2, 3)) < 0) == part.targets).all()


def test_pictures_of_mixed_sizes_become_squares(tmp_path) -> None:
    write_pictures(tmp_path, sizes=((40, 90), (33, 20)), mode="RGB")
    assert load_folder(tmp_path).spec == "image:3x32x32"
    assert load_folder(tmp_path, side=16).spec == "image:3x16x16"


def test_a_folder_that_is_no_task_says_what_it_lacks(tmp_path) -> None:
    with pytest.raises(ArgumentError, match=r"two or more classes .*found none"):
        load_folder(tmp_path)
    write_pictures(tmp_path, count=4)
    with pytest.raises(ArgumentError, match=r"too few: bright \(4\), dark \(4\)"):
        load_folder(tmp_path)
    for i in range(4, 8):
        (tmp_path / "bright" / f"{i}.png").write_bytes(b"no picture")
        (tmp_path / "dark" / f"{i}.png").write_bytes(b"no picture")
    with pytest.raises(ArgumentError, match=r"cannot read the picture .*4\.png"):
        load_folder(tmp_path)


def own_data():
    inputs, targets = torch.arange(60.0).reshape(20, 3), torch.arange(20) % 2
    data = torch.utils.data.TensorDataset(inputs, targets)
    return torch.utils.data.DataLoader(data, batch_size=6, shuffle=True), data, (inputs.numpy(), targets.numpy())


def test_a_factory_of_loaders_datasets_or_arrays_is_a_task(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "my_data", sys.modules[__name__])
    first, second = load_task("my_data:own_data"), load_task("my_data:own_data")
    assert (first.spec, first.kind, first.outputs) == ("vector:3", "classes", 2)
    assert len(first.train) == len(first.validation) == len(first.test) == 20
    assert np.array_equal(first.train.inputs, second.train.inputs)  # a shuffled loader too
    assert np.array_equal(first.train.inputs[:, 0] // 3 % 2, first.train.targets)
    with pytest.raises(ArgumentError, match="has no function 'own_dat'; did you mean 'own_data'"):
        load_task("my_data:own_dat")
    with pytest.raises(ArgumentError, match=r"must return .* got ndarray"):
        load_task("my_data:no_task")


def no_task():
    return np.zeros(3)
