"""The tree of errors: one root, and messages that offer the closest names."""

import inspect

import pytest

from wellbegun import errors
from wellbegun.errors import (
    ArgumentError,
    MissingExtraError,
    UnknownNameError,
    WellbegunError,
    closest_names,
    join_names,
)

RAISED = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, Exception)]
WARNINGS = [kind for kind in RAISED if issubclass(kind, Warning)]
CLASSES = [kind for kind in RAISED if kind not in WARNINGS]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_one_root_and_a_place_in_the_drawn_tree(kind: type[Exception]) -> None:
    assert issubclass(kind, WellbegunError)
    assert kind.__name__ in (errors.__doc__ or "")
    assert inspect.getdoc(kind)


@pytest.mark.parametrize("kind", WARNINGS, ids=lambda kind: kind.__name__)
def test_warnings_can_be_filtered_as_the_users_own(kind: type[Warning]) -> None:
    assert issubclass(kind, UserWarning)
    assert kind.__name__ in (errors.__doc__ or "")
    assert inspect.getdoc(kind)


def test_the_usual_python_errors_catch_them_too() -> None:
    assert issubclass(ArgumentError, ValueError)
    assert issubclass(UnknownNameError, ArgumentError)
    assert issubclass(MissingExtraError, ImportError)


def test_an_unknown_name_offers_the_closest_and_lists_all() -> None:
    error = UnknownNameError("method", "xaiver", ["xavier", "he", "orthogonal"])
    text = str(error)
    for part in ("no method is called 'xaiver'", "did you mean 'xavier'?", "he, orthogonal, xavier"):
        assert part in text
    assert (error.kind, error.given, error.closest) == ("method", "xaiver", ["xavier"])
    assert str(UnknownNameError("task", "zzz", [])).startswith("no task is called 'zzz'")


def test_a_missing_extra_says_how_to_install_it() -> None:
    error = MissingExtraError("PyTorch", "torch", "planning a model")
    assert "pip install 'wellbegun[torch]'" in str(error)
    assert "planning a model needs PyTorch" in str(error)


def test_closest_names() -> None:
    known = ["h.0.weight", "h.1.weight", "head.bias"]
    assert closest_names("h.0.wieght", known)[0] == "h.0.weight"
    assert closest_names("HEAD", known) == ["head.bias"]
    assert closest_names("zzz", known) == []
    assert closest_names("", known) == []
    assert len(closest_names("h", known, most=2)) <= 2


def test_names_as_a_person_would_say_them() -> None:
    assert join_names(["a"]) == "'a'"
    assert join_names(["a", "b"]) == "'a' or 'b'"
    assert join_names(["a", "b", "c"]) == "'a', 'b' or 'c'"
