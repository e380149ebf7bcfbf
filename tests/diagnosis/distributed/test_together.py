"""Several processes diagnose one model: the same facts everywhere, those of the whole batch; nothing is changed."""

from __future__ import annotations

import math
from typing import Any

import pytest

MEANS = ("signal", "mean", "activated", "gradient", "weight_gradient", "dead", "saturated", "twins", "inflow")


def agreed(answers: list[Any]) -> Any:
    """What all processes say; nan is equal to nan in text."""
    assert len(answers) in (2, 4)
    for key in ("facts", "findings", "source", "text"):
        assert repr(answers[0][key]) == repr(answers[1][key])
    return answers[0]


def near(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or one == pytest.approx(other, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("layout", ["ddp", "fsdp"])
@pytest.mark.parametrize("kind", ["mlp", "gpt"])
def test_facts_are_those_of_the_whole_batch_on_one_process(pair: Any, kind: str, layout: str) -> None:
    answers = pair.run("diagnosed", kind=kind, layout=layout)
    together, alone = agreed(answers)["facts"], pair.run("alone", kind=kind)[0]["facts"]
    assert all(answer["kept"] and answer["trains"] for answer in answers)
    assert [layer["name"] for layer in together["layers"]] == [layer["name"] for layer in alone["layers"]]
    for mine, whole in zip(together["layers"], alone["layers"], strict=True):
        for name in MEANS:
            assert near(mine[name], whole[name]), (mine["name"], name, mine[name], whole[name])
        assert {k: v for k, v in mine.items() if not isinstance(v, float)} == {
            k: v for k, v in whole.items() if not isinstance(v, float)
        }
    for name in ("loss", "prior", "logits"):
        assert near(together[name], alone[name]), name
    for mine, whole in zip(together["tensors"], alone["tensors"], strict=True):
        assert {k for k in mine if mine[k] != whole[k] and not near(mine[k], whole[k])} == set(), mine["name"]
    for mine, whole in zip(together["streams"], alone["streams"], strict=True):
        assert mine["sums"] == pytest.approx(whole["sums"], rel=1e-6)
        assert mine["branches"] == pytest.approx(whole["branches"], rel=1e-6)
    assert together["copies"] == alone["copies"]
    assert together["unseen"] == alone["unseen"]
    assert together["differing"] == {}


@pytest.mark.parametrize("layout", ["ddp", "fsdp"])
def test_cosines_are_over_the_pairs_of_each_process(pair: Any, layout: str) -> None:
    together = agreed(pair.run("diagnosed", kind="mlp", layout=layout))["facts"]
    whole = pair.run("alone", kind="mlp")[0]["facts"]
    for mine, other in zip(together["layers"], whole["layers"], strict=True):
        assert mine["cosine"] == pytest.approx(other["cosine"], abs=0.05)
        assert mine["cosine"] != other["cosine"]


@pytest.mark.parametrize(("layout", "fault"), [("ddp", "nan"), ("fsdp", "nan"), ("ddp", "zeros"), ("fsdp", "zeros")])
def test_a_fault_on_one_process_is_found_by_all(pair: Any, layout: str, fault: str) -> None:
    name = "layers.1.mlp.up.weight"
    answers = pair.run("diagnosed", kind="gpt", layout=layout, fault=fault, name=name)
    findings = agreed(answers)["findings"]
    assert all(answer["kept"] and answer["trains"] for answer in answers)
    kinds = {finding["kind"]: finding for finding in findings if finding["layer"] == name}
    if fault == "nan":
        assert kinds["non-finite"]["level"] == "error"
        assert kinds["non-finite"]["message"] == f"1 of the 2,304 numbers of {name} are infinite or not a number"
    elif layout == "fsdp":
        assert kinds["dead"]["message"].startswith(f"50% of the units of {name} are zero")  # one of two shards
    if layout == "ddp":
        assert kinds["replicas"]["level"] == "error"
        assert "(rank 1)" in kinds["replicas"]["message"]
    else:
        assert "replicas" not in kinds


@pytest.mark.parametrize("layout", ["ddp", "fsdp"])
def test_buffers_that_a_pass_writes_come_back(pair: Any, layout: str) -> None:
    answers = pair.run("diagnosed", kind="normalised", layout=layout)
    agreed(answers)
    assert all(answer["kept"] and answer["trains"] for answer in answers)


@pytest.mark.parametrize("layout", ["ddp", "fsdp"])
def test_a_plan_and_theory_are_compared_with_alike(pair: Any, layout: str) -> None:
    found = agreed(pair.run("planned", layout=layout))
    assert [f["layer"] for f in found["findings"] if f["kind"] == "off plan"] == ["2.weight"]
    assert all(layer["expected"] > 0 for layer in found["facts"]["layers"])


def test_tensor_parallel_weights_are_put_together(pair: Any) -> None:
    """Each process has another batch here, which no training would do: the facts are of both all the same."""
    together = agreed(pair.run("diagnosed", kind="mlp", layout="tp"))["facts"]
    alone = pair.run("alone", kind="mlp")[0]["facts"]
    assert near(together["loss"], alone["loss"])
    for mine, whole in zip(together["layers"], alone["layers"], strict=True):
        assert near(mine["signal"], whole["signal"])
        assert near(mine["weight_gradient"], whole["weight_gradient"])


def test_mixed_precision_of_fsdp2_is_measured_in_the_type_of_the_shards(pair: Any) -> None:
    answers = pair.run("diagnosed", kind="mlp", layout="fsdp bfloat16")
    together, alone = agreed(answers)["facts"], pair.run("alone", kind="mlp")[0]["facts"]
    assert all(answer["kept"] and answer["trains"] for answer in answers)
    assert near(together["loss"], alone["loss"])


def test_what_fsdp2_has_gathered_stays_gathered(pair: Any) -> None:
    answers = pair.run("gathered")
    together, alone = agreed(answers)["facts"], pair.run("alone", kind="mlp")[0]["facts"]
    assert all(answer["kept"] for answer in answers)
    assert near(together["loss"], alone["loss"])
    for mine, whole in zip(together["layers"], alone["layers"], strict=True):
        assert near(mine["weight_gradient"], whole["weight_gradient"])


def test_a_jacobian_is_the_same_on_all_processes(pair: Any) -> None:
    assert agreed(pair.run("diagnosed", kind="mlp", layout="ddp", jacobian=True))["facts"]["jacobian"]["largest"] > 0


def test_a_failure_on_one_process_reaches_all(pair: Any) -> None:
    here, there = pair.run("failing")
    assert "it failed elsewhere: process 1: TraceError: Sequential fails on inputs of shape (20, 9)" in here
    assert there.startswith("Sequential fails on inputs of shape (20, 9)")


def test_a_model_of_one_process_asks_nobody(pair: Any) -> None:
    """Only the first process diagnoses; the other would have to answer if it were asked."""
    first, second = pair.run("alone", kind="mlp")
    assert first["source"] == "a batch of 40"
    assert second == {}


def test_means_over_uneven_batches_are_weighed(pair: Any) -> None:
    """The loss alone is the plain mean of the processes' losses, as data parallel training has it."""
    together, alone = agreed(pair.run("uneven"))["facts"], pair.run("alone", kind="mlp")[0]["facts"]
    for mine, whole in zip(together["layers"], alone["layers"], strict=True):
        for name in ("signal", "mean", "activated", "dead", "saturated", "twins", "inflow"):
            assert near(mine[name], whole[name]), (mine["name"], name)
    assert near(together["prior"], alone["prior"])
    assert near(together["logits"], alone["logits"])


@pytest.mark.parametrize("layout", ["ddp", "fsdp"])
def test_a_repair_mends_all_processes(pair: Any, layout: str) -> None:
    answers = pair.run("mended", layout=layout)
    before, after = (agreed([answer[at] for answer in answers]) for at in range(2))
    assert "2.weight" in {finding["layer"] for finding in before["findings"] if finding["kind"] == "non-finite"}
    assert not {finding["kind"] for finding in after["findings"]} & {"non-finite", "replicas"}


def test_shards_that_wait_in_the_processors_memory_are_put_together(pair: Any) -> None:
    answers = pair.run("diagnosed", kind="mlp", layout="fsdp offloaded")
    together, alone = agreed(answers)["facts"], pair.run("alone", kind="mlp")[0]["facts"]
    assert all(answer["kept"] and answer["trains"] for answer in answers)
    same_means(together, alone)


@pytest.mark.parametrize("kind", ["mlp", "gpt"])
@pytest.mark.slow
def test_sharded_replicas_are_one_model(four: Any, kind: str) -> None:
    """HSDP: two replicas, each sharded over two processes."""
    answers = four.run("diagnosed", kind=kind, layout="hsdp")
    together, alone = agreed(answers)["facts"], four.run("alone", kind=kind)[0]["facts"]
    assert len(answers) == 4
    assert all(answer["kept"] and answer["trains"] for answer in answers)
    assert agreed(answers)["source"].endswith("on 4 processes")
    same_means(together, alone)
    assert together["differing"] == {}


@pytest.mark.slow
def test_a_shard_that_differs_between_replicas_is_found_by_all(four: Any) -> None:
    name = "layers.1.mlp.up.weight"
    findings = agreed(four.run("diagnosed", kind="gpt", layout="hsdp", fault="nan", name=name))["findings"]
    kinds = {finding["kind"]: finding for finding in findings if finding["layer"] == name}
    assert kinds["non-finite"]["level"] == "error"
    assert kinds["replicas"]["level"] == "error"
    assert "(rank 2, 3)" in kinds["replicas"]["message"]  # the replica that the last process is a part of


@pytest.mark.slow
@pytest.mark.parametrize("grid", [(2,), (2, 1)])
def test_each_stage_of_a_pipeline_is_a_model_of_its_own(four: Any, grid: tuple[int, ...]) -> None:
    """Its processes ask each other, and not those of the other stage."""
    answers = four.run("staged", grid=grid)
    for number, names in enumerate((["0.weight"], ["2.weight", "4.weight"])):
        mine = [answer for answer in answers if answer["stage"] == number]
        together, alone = agreed(mine)["facts"], mine[0]["alone"]["facts"]
        assert [layer["name"] for layer in together["layers"]] == names
        assert agreed(mine)["source"].endswith("on 2 processes")
        for one, whole in zip(together["layers"], alone["layers"], strict=True):
            assert near(one["signal"], whole["signal"])
            assert near(one["gradient"], whole["gradient"]) or not number  # without targets, along random signs


def test_a_stage_is_refused_and_its_module_is_not(pair: Any) -> None:
    for answer, (words, found) in zip(("a batch of 40",) * 2, pair.run("stage"), strict=True):
        assert words.startswith("a stage of a pipeline is no model: pass stage.submod")
        assert found["source"] == answer


@pytest.mark.parametrize(("layout", "words"), [("zero", "ZeRO-3 has cut 6 parameters"), ("fsdp1", "(FSDP1)")])
def test_pieces_that_only_others_can_put_together_are_refused(pair: Any, layout: str, words: str) -> None:
    for answer in pair.run("in_pieces", layout=layout):
        assert words in answer
        assert "with the same plan applied" in answer


def same_means(together: Any, alone: Any) -> None:
    for mine, whole in zip(together["layers"], alone["layers"], strict=True):
        for name in MEANS:
            assert near(mine[name], whole[name]), (mine["name"], name)
    assert near(together["loss"], alone["loss"])
