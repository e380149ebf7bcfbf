"""What test_to_jax.py runs in a process of its own, with eight devices: JAX's threads and forks do not mix."""

from __future__ import annotations

import doctest
import itertools
import math
import sys

import jax
import numpy as np
import pytest
import torch
from jax.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.plans import Entry, Plan

MESHES = ((2,), (4,), (2, 2), (4, 2), (8,))
LAWS = {
    "normal": wb.Normal(std=0.5),
    "uniform": wb.Uniform(-1.0, 0.5),
    "truncated": wb.TruncatedNormal(std=0.02, low=-2, high=2),
    "window": wb.TruncatedNormal(std=1.0, low=3, high=4),
    "constant": wb.Constant(0.25),
    "orthogonal": wb.Orthogonal(gain=0.7),
    "identity": wb.Identity(2.0),
    "sparse": wb.Sparse(sparsity=0.5, std=0.1),
    "stored": wb.Stored(np.arange(16 * 24, dtype=np.float32).reshape(16, 24) / 64),
    "patched": wb.Patched(wb.Normal(std=0.1), [(((3, 11), (5, 20)), wb.Constant(1.0)), (((8, 16),), wb.Uniform(0, 1))]),
    "patched_orthogonal": wb.Patched(wb.Orthogonal(), [(((0, 5),), wb.Zeros().law())]),
}
FLOATS = ("float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")
COMPLEX = ("normal", "uniform", "constant", "identity")
WHOLE = ("bool", "int8", "int16", "int32", "uint8", "uint16", "uint32")


def entry(name: str, law: object, shape: tuple[int, ...], dtype: str = "float32", **more: object) -> Entry:
    return Entry(name, "buffer", shape, dtype, "weight", repr(law), law, "a test", **more)


def every_kind() -> Plan:
    """Every law in every storage type that both frameworks know, and shapes of other ranks."""
    shape = (16, 24)
    entries = [entry(f"{name}_{dtype}", law, shape, dtype) for name, law in LAWS.items() for dtype in FLOATS]
    entries += [entry(f"{name}_complex64", LAWS[name], shape, "complex64") for name in COMPLEX]
    entries += [entry(f"flags_{dtype}", wb.Constant(1.0), shape, dtype) for dtype in WHOLE]
    entries += [
        entry("biases", wb.MeanCompensation("normal_float32", mean=0.4, std=0.1), (16,)),
        entry("kernels", wb.DeltaOrthogonal(), (16, 8, 3, 3)),
        entry("stack", wb.Normal(std=1.0), (8, 4, 8)),
        entry("scalar", wb.Normal(std=1.0), ()),
        entry("nothing", wb.Normal(std=1.0), (0, 8)),
        entry("table", wb.Normal(std=1.0), (16, 8), zero_row=9),
    ]
    return Plan(tuple(entries), 7, "test@1")


def in_torch(plan: Plan) -> dict[str, torch.Tensor]:
    model = nn.Module()
    for item in plan:
        model.register_buffer(item.name, torch.empty(item.shape, dtype=getattr(torch, item.dtype)))
    wb.apply(plan, model)
    return dict(model.named_buffers())


def torch_bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def as_bytes(array: jax.Array) -> bytes:
    return np.asarray(array).tobytes()


PLAN = every_kind()


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return in_torch(PLAN)


def mesh_of(sizes: tuple[int, ...]) -> jax.sharding.Mesh:
    devices = np.array(jax.devices()[: math.prod(sizes)]).reshape(sizes)
    return jax.sharding.Mesh(devices, ("x", "y")[: len(sizes)])


def specs(sizes: tuple[int, ...], rank: int) -> list[PartitionSpec]:
    """Every way to spread the axes of a mesh over the dimensions of a tensor, both on one dimension too."""
    axes = ("x", "y")[: len(sizes)]
    kinds = {(None,) * rank}
    for places in itertools.product(range(-1, rank), repeat=len(axes)):
        spread = [tuple(axis for axis, place in zip(axes, places, strict=True) if place == d) for d in range(rank)]
        kinds.add(tuple(s or None for s in spread))
        kinds.add(tuple(s[::-1] or None for s in spread))
    return [PartitionSpec(*kind) for kind in sorted(kinds, key=str)]


def test_there_are_eight_devices() -> None:
    assert jax.device_count() == 8


def test_the_example_runs() -> None:
    """The other tests' process leaves this file out (pyproject.toml)."""
    results = doctest.testmod(sys.modules[wb.to_jax.__module__])
    assert (results.failed, results.attempted) == (0, 10)


@pytest.mark.parametrize("sizes", MESHES, ids=str)
def test_every_layout_holds_the_bits_of_torch(sizes: tuple[int, ...], tensors: dict[str, torch.Tensor]) -> None:
    mesh = mesh_of(sizes)
    checked = 0
    for rank in range(5):
        like = {item.name: jax.ShapeDtypeStruct(item.shape, item.dtype) for item in PLAN if len(item.shape) == rank}
        for spec in specs(sizes, rank):
            sharding = NamedSharding(mesh, spec)
            wanted = {name: leaf for name, leaf in like.items() if fits(sharding, leaf.shape)}
            for name, array in wb.to_jax(PLAN, sharding, like=wanted).items():
                assert array.sharding == sharding
                assert array.dtype == PLAN[name].dtype
                assert as_bytes(array) == torch_bytes(tensors[name]), (name, spec)
                for shard in array.addressable_shards:
                    assert as_bytes(shard.data) == torch_bytes(tensors[name][shard.index]), (name, spec)
                checked += 1
    assert checked > 60 * len(sizes)


def fits(sharding: NamedSharding, shape: tuple[int, ...]) -> bool:
    try:
        sharding.shard_shape(shape)
    except ValueError:
        return False
    return True


def test_one_device_and_numpy() -> None:
    for sharding in (None, SingleDeviceSharding(jax.devices()[5])):
        arrays = wb.to_jax(PLAN, sharding)
        assert list(arrays) == [item.name for item in PLAN]
        for name, array in arrays.items():
            assert array.devices() == {jax.devices()[0 if sharding is None else 5]}
            assert as_bytes(array) == wb.to_numpy(PLAN, name).tobytes()


class Gpt(nn.Module):
    """Four layers, a head tied to the table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(64, 32)
        self.h = nn.ModuleList(
            nn.TransformerEncoderLayer(32, 4, 128, activation="gelu", batch_first=True, norm_first=True)
            for _ in range(4)
        )
        self.head = nn.Linear(32, 64, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens)
        for layer in self.h:
            x = layer(x)
        return self.head(x)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gpt_is_the_same_in_torch_and_on_a_mesh(dtype: str) -> None:
    model = Gpt().to(getattr(torch, dtype))
    plan = wb.plan(model, "tokens:16", seed=7)
    wb.apply(plan, model)
    mesh = mesh_of((4, 2))
    arrays = wb.to_jax(
        plan,
        {
            "*": NamedSharding(mesh, PartitionSpec()),
            "*.weight": NamedSharding(mesh, PartitionSpec("x")),
            "re:.*linear2.weight": NamedSharding(mesh, PartitionSpec("y", "x")),
        },
    )
    assert set(arrays) == {item.name for item in plan}
    assert arrays["h.3.linear2.weight"].sharding.spec == PartitionSpec("y", "x")
    assert arrays["h.3.linear1.weight"].sharding.spec == PartitionSpec("x")
    assert arrays["h.3.linear1.bias"].sharding.spec == PartitionSpec()
    for name, tensor in model.state_dict().items():
        assert as_bytes(arrays[plan[name].name]) == torch_bytes(tensor), name


def test_a_tree_asks_for_what_it_holds() -> None:
    plan = wb.plan(Gpt(), "tokens:16", seed=7)
    split = NamedSharding(mesh_of((8,)), PartitionSpec("x"))
    tree = {
        "table": {"weight": jax.ShapeDtypeStruct((64, 32), "float32", sharding=split)},
        "head": {"weight": jax.ShapeDtypeStruct((64, 32), "float32")},
        "h": [{"linear1": {"bias": jax.ShapeDtypeStruct((128,), "bfloat16")}}, {}],
    }
    made = wb.to_jax(plan, like=tree)
    assert jax.tree.structure(made) == jax.tree.structure(tree)
    assert made["table"]["weight"].sharding == split
    assert made["h"][0]["linear1"]["bias"].dtype == "bfloat16"
    weights = made["table"]["weight"], made["head"]["weight"]
    assert as_bytes(weights[0]) == as_bytes(weights[1]) == wb.to_numpy(plan, "head.weight").tobytes()
    # tied leaves are arrays of their own, so that both can be donated; their shards' memory too
    step = jax.jit(lambda first, second: (first * 2, second * 3), donate_argnums=(0, 1))
    doubled, trebled = step(jax.device_put(weights[0], split), jax.device_put(weights[1], split))
    whole = wb.to_numpy(plan, "table.weight")
    assert np.array_equal(doubled, whole * 2)
    assert np.array_equal(trebled, whole * 3)
    over = wb.to_jax(plan, split, like={"h": {"0": tree["h"][0]}})
    assert over["h"]["0"]["linear1"]["bias"].sharding == split
    with pytest.raises(ArgumentError, match=r"head\.weight: two leaves have this path"):
        wb.to_jax(plan, like={"head": tree["head"], "head.weight": tree["head"]["weight"]})


def test_replicas_do_not_share_memory_that_a_step_may_reuse() -> None:
    plan = Plan((entry("w", wb.Normal(std=1.0), (256, 256)),), 3, "test@1")
    for spec in (PartitionSpec(), PartitionSpec("x")):
        array = wb.to_jax(plan, NamedSharding(mesh_of((4, 2)), spec))["w"]
        step = jax.jit(lambda x: x * 2, donate_argnums=0)
        for _ in range(3):
            array = step(array)
        assert all(np.array_equal(s.data, wb.to_numpy(plan, "w", s.index) * 8) for s in array.addressable_shards)


def test_each_shard_is_drawn_alone_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts what the sampler is asked for: nothing twice, nothing that no device here holds."""
    asked: list[int] = []
    module = sys.modules["wellbegun.targets.array"]
    write = module.write

    def counted(out: np.ndarray, *rest: object) -> int:
        asked.append(out.size)
        return write(out, *rest)

    monkeypatch.setattr(module, "write", counted)
    plan = Plan((entry("w", wb.TruncatedNormal(std=1.0), (64, 96), "bfloat16"),), 3, "test@1")
    mesh = mesh_of((4, 2))
    for spec, shard in (
        (PartitionSpec("x"), 16 * 96),
        (PartitionSpec(None, "y"), 64 * 48),
        (PartitionSpec("x", "y"), 16 * 48),
        (PartitionSpec(("y", "x")), 8 * 96),
        (PartitionSpec(), 64 * 96),
    ):
        asked.clear()
        wb.to_jax(plan, NamedSharding(mesh, spec))
        assert (sum(asked), max(asked)) == (64 * 96, shard), spec


def test_nothing_is_compiled() -> None:
    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration, **more: compiled.append(event) if "compile" in event else None
    )
    for number, sharding in enumerate((None, *(NamedSharding(mesh_of((4, 2)), spec) for spec in specs((4, 2), 2)))):
        shapes = [(8 * (number + 1), 8 * size) for size in range(1, 6)]
        plan = Plan(tuple(entry(f"w{shape}", wb.Normal(std=1.0), shape) for shape in shapes), number, "test@1")
        assert len(wb.to_jax(plan, sharding)) == 5
    assert compiled == []
    jax.jit(lambda x: x + 1.25)(np.ones(3, np.float32))
    assert compiled  # the listener listens


def test_problems_are_listed_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["wellbegun.targets.to_jax"], "fill_part", None)
    split = NamedSharding(mesh_of((4, 2)), PartitionSpec("x"))
    plan = Plan(
        (
            entry("good", wb.Normal(std=1.0), (8, 3)),
            entry("odd", wb.Normal(std=1.0), (6, 8)),
            entry("scalar", wb.Normal(std=1.0), ()),
            entry("count", wb.Constant(3.0), (8,), "int64"),
            entry("exact", wb.Normal(std=1.0), (8,), "float64"),
            entry("wide", wb.Normal(std=1.0), (8,), "complex128"),
            entry("own", wb.Keep(), (8,)),
        ),
        3,
        "test@1",
    )
    with pytest.raises(ArgumentError) as caught:
        wb.to_jax(plan, split)
    text = str(caught.value)
    assert "good" not in text
    for line in (
        "odd: cannot be laid out so: ",
        "scalar: the shape () has too few dimensions for ",
        "count: is int64, which JAX would cut to 32 bits; call jax.config.update('jax_enable_x64', True)",
        "exact: is float64, which JAX would cut",
        "wide: is complex128, which JAX would cut",
        "own: keeps the value that the model gives it",
        "like={name: jax.ShapeDtypeStruct(shape, dtype)} asks for some tensors only",
    ):
        assert line in text
    abstract = NamedSharding(jax.sharding.AbstractMesh((4,), ("x",)), PartitionSpec("x"))
    with pytest.raises(ArgumentError, match=r"good: cannot be laid out so: .*AbstractMesh"):
        wb.to_jax(plan, abstract)
    leaf = jax.ShapeDtypeStruct((8, 3), "float32")
    for like, message in (
        ({"goood": leaf}, "goood: not in the plan; did you mean 'good'"),
        ({"good": np.zeros((3, 8))}, r"good: has shape \(8, 3\) in the plan, \(3, 8\) is asked for"),
        ({"good": jax.ShapeDtypeStruct((8, 3), "int32")}, "good: a tensor of int32 takes whole constants only"),
        ({"good": jax.ShapeDtypeStruct((8, 3), "complex64")}, "complex64 would be other numbers"),
        ({"good": jax.ShapeDtypeStruct((8, 3), "int4")}, "good: .*not int4"),
        ({"good": 3.0}, "good: must be a jax.ShapeDtypeStruct, got 3.0"),
        ([leaf], "0: not in the plan"),
    ):
        with pytest.raises(ArgumentError, match=message):
            wb.to_jax(plan, like=like)


def test_shardings_by_pattern_are_checked() -> None:
    plan = wb.plan(Gpt(), "tokens:16", seed=7)
    whole = NamedSharding(mesh_of((8,)), PartitionSpec())
    for shardings, message in (
        ({"*.wieght": whole}, r"'\*.wieght' in shardings matches no tensor of the plan"),
        ({"*.weight": whole}, "shardings say nothing about h.0.self_attn.in_proj_weight.*; put '\\*' first"),
        ({"*": PartitionSpec()}, "the sharding of '\\*' must be a jax.sharding.Sharding, got P"),
        ({"type:Linear": whole}, "a plan does not know types: 'type:Linear'"),
        ({nn.Linear: whole}, "a plan does not know types"),
        (PartitionSpec(), "shardings must be a jax.sharding.Sharding, a dictionary .*; got P"),
    ):
        with pytest.raises(ArgumentError, match=message):
            wb.to_jax(plan, shardings)
    with pytest.raises(ArgumentError, match="the first argument must be a plan, got Gpt"):
        wb.to_jax(Gpt())
    halves = NamedSharding(mesh_of((8,)), PartitionSpec("x"))
    made = wb.to_jax(plan, {"*": whole, "norm:*": halves, "head.weight": halves})
    assert {name for name, array in made.items() if array.sharding == halves} == {
        "table.weight",
        *(f"h.{i}.norm{j}.{kind}" for i in range(4) for j in (1, 2) for kind in ("weight", "bias")),
    }


def test_wide_types_with_x64() -> None:
    plan = Plan(
        (
            entry("exact", wb.Normal(std=1.0), (8, 8), "float64"),
            entry("count", wb.Stored(np.array([2**40, -5])), (2,), "int64"),
            entry("wide", wb.Normal(std=1.0), (8,), "complex128"),
        ),
        3,
        "test@1",
    )
    tensors = in_torch(plan)
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        arrays = wb.to_jax(plan, NamedSharding(mesh_of((2,)), PartitionSpec("x")))
        assert all(as_bytes(array) == torch_bytes(tensors[name]) for name, array in arrays.items())
    finally:
        jax.config.update("jax_enable_x64", before)
