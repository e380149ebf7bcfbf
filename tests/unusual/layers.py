"""Layers of one's own: norms with buffers, splines, complex numbers, capsules, graphs, sets, odd containers."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, floats


class BatchRenorm(nn.Module):
    """Statistics under names of its own, with a correction of the batch's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("avg", torch.zeros(width))
        self.register_buffer("sigma", torch.ones(width))
        self.register_buffer("steps", torch.tensor(0, dtype=torch.long))
        self.gamma, self.beta = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            mean, std = x.mean(0), x.std(0, unbiased=False) + 1e-5
            r, d = (std.detach() / self.sigma).clamp(1 / 3, 3), ((mean.detach() - self.avg) / self.sigma).clamp(-5, 5)
            x = (x - mean) / std * r + d
            self.avg += 0.01 * (mean.detach() - self.avg)
            self.sigma += 0.01 * (std.detach() - self.sigma)
            self.steps += 1
        else:
            x = (x - self.avg) / self.sigma
        return self.gamma * x + self.beta


class RenormNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.n, self.b = nn.Linear(20, 48), BatchRenorm(48), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(F.relu(self.n(self.a(x))))


class KANLayer(nn.Module):
    """B-splines on a grid in a buffer, a base weight, a scale of its own."""

    def __init__(self, i: int, o: int, grid: int = 5, order: int = 3) -> None:
        super().__init__()
        self.order = order
        h = 2 / grid
        self.register_buffer("grid", (torch.arange(-order, grid + order + 1) * h - 1).expand(i, -1).contiguous())
        self.base_weight = nn.Parameter(torch.empty(o, i))
        self.spline_weight = nn.Parameter(torch.empty(o, i, grid + order))
        self.spline_scaler = nn.Parameter(torch.empty(o, i))
        nn.init.kaiming_uniform_(self.base_weight, a=math.sqrt(5))
        nn.init.kaiming_uniform_(self.spline_scaler, a=math.sqrt(5))
        with torch.no_grad():
            self.spline_weight.copy_((torch.rand(o, i, grid + order) - 0.5) * 0.1 / grid)

    def bases(self, x: Tensor) -> Tensor:
        x, g = x.unsqueeze(-1), self.grid
        b = ((x >= g[:, :-1]) & (x < g[:, 1:])).to(x.dtype)
        for k in range(1, self.order + 1):
            left = (x - g[:, : -(k + 1)]) / (g[:, k:-1] - g[:, : -(k + 1)]) * b[..., :-1]
            b = left + (g[:, k + 1 :] - x) / (g[:, k + 1 :] - g[:, 1:(-k)]) * b[..., 1:]
        return b

    def forward(self, x: Tensor) -> Tensor:
        weight = self.spline_weight * self.spline_scaler.unsqueeze(-1)
        return F.linear(F.silu(x), self.base_weight) + F.linear(self.bases(x).flatten(1), weight.flatten(1))


class KAN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(KANLayer(6, 24), KANLayer(24, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class ComplexLinear(nn.Module):
    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(o, i, dtype=torch.cfloat) / math.sqrt(i))
        self.bias = nn.Parameter(torch.zeros(o, dtype=torch.cfloat))

    def forward(self, z: Tensor) -> Tensor:
        return F.linear(z, self.weight, self.bias)


class ModReLU(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.full((width,), -0.05))

    def forward(self, z: Tensor) -> Tensor:
        size = z.abs()
        return F.relu(size + self.b) * z / (size + 1e-5)


class ComplexNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.act, self.b = ComplexLinear(12, 32), ModReLU(32), ComplexLinear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.act(self.a(torch.fft.fft(x)))).abs()


class FourierLayer(nn.Module):
    """FNO: complex weights for the lowest modes, an einsum with one weight a mode."""

    def __init__(self, i: int, o: int, modes: int = 6) -> None:
        super().__init__()
        self.modes = modes
        self.weights = nn.Parameter((1 / (i * o)) * torch.rand(i, o, modes, dtype=torch.cfloat))

    def forward(self, x: Tensor) -> Tensor:
        ft = torch.fft.rfft(x)
        out = torch.zeros(x.shape[0], self.weights.shape[1], ft.shape[-1], dtype=torch.cfloat)
        out[:, :, : self.modes] = torch.einsum("bix,iox->box", ft[:, :, : self.modes], self.weights)
        return torch.fft.irfft(out, n=x.shape[-1])


class FNO(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.lift = nn.Conv1d(1, width, 1)
        self.spectral = nn.ModuleList(FourierLayer(width, width) for _ in range(2))
        self.local = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(2))
        self.out = nn.Conv1d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.lift(x)
        for s, w in zip(self.spectral, self.local, strict=True):
            x = F.gelu(s(x) + w(x))
        return self.out(x)


class Capsules(nn.Module):
    """Routing by agreement: a weight of five dimensions, squashing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 32, 5, 2)
        self.W = nn.Parameter(0.01 * torch.randn(1, 36 * 4, 10, 8, 8))

    @staticmethod
    def squash(x: Tensor) -> Tensor:
        n = x.square().sum(-1, keepdim=True)
        return n / (1 + n) * x / (n.sqrt() + 1e-8)

    def forward(self, x: Tensor) -> Tensor:
        u = self.conv(x).view(x.shape[0], 4, 8, -1).permute(0, 1, 3, 2).reshape(x.shape[0], -1, 8)
        u = self.squash(u)[:, :, None, None]
        hat = (u @ self.W).squeeze(3)
        b = torch.zeros(hat.shape[:3])
        for step in range(3):
            v = self.squash((b.softmax(2).unsqueeze(-1) * hat).sum(1))
            if step < 2:
                b = b + (hat * v.unsqueeze(1)).sum(-1)
        return v.norm(dim=-1)


class NeuralODE(nn.Module):
    """Fourth-order Runge-Kutta over one function, time joined to the state."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.f1, self.f2, self.out = (
            nn.Linear(10, 32),
            nn.Linear(33, 64),
            nn.Linear(64, 32),
            nn.Linear(32, 4),
        )

    def f(self, t: float, h: Tensor) -> Tensor:
        return self.f2(torch.tanh(self.f1(torch.cat([h, torch.full((len(h), 1), t)], 1))))

    def forward(self, x: Tensor) -> Tensor:
        h, dt = self.embed(x), 0.25
        for i in range(4):
            t = i * dt
            k1 = self.f(t, h)
            k2 = self.f(t + dt / 2, h + dt / 2 * k1)
            k3 = self.f(t + dt / 2, h + dt / 2 * k2)
            h = h + dt / 6 * (k1 + 2 * k2 + 2 * k3 + self.f(t + dt, h + dt * k3))
        return self.out(h)


class GCN(nn.Module):
    """Messages along edges by index_add, degree normalisation, an attention vector, a virtual node."""

    def __init__(self) -> None:
        super().__init__()
        self.atoms, self.bonds = nn.Embedding(20, 32), nn.Embedding(5, 32)
        self.virtual = nn.Embedding(1, 32)
        nn.init.constant_(self.virtual.weight, 0)
        self.lin = nn.ModuleList(nn.Linear(32, 32, bias=False) for _ in range(3))
        self.att = nn.ParameterList(nn.Parameter(torch.empty(1, 64)) for _ in range(3))
        self.eps = nn.Parameter(torch.zeros(3))
        self.norms = nn.ModuleList(nn.BatchNorm1d(32) for _ in range(3))
        for a in self.att:
            nn.init.xavier_uniform_(a)
        self.out = nn.Linear(32, 6)

    def forward(self, graph: dict[str, Tensor]) -> Tensor:
        x, (src, dst) = self.atoms(graph["x"]), graph["edges"]
        x = x + self.virtual(torch.zeros_like(graph["x"]))
        e = self.bonds(graph["bond"])
        for i in range(3):
            h = self.lin[i](x)
            score = F.leaky_relu((torch.cat([h[src], h[dst]], -1) * self.att[i]).sum(-1), 0.2).exp()
            total = torch.zeros(len(x)).index_add(0, dst, score)
            message = F.relu(h[src] + e) * (score / (total[dst] + 1e-9)).unsqueeze(-1)
            pooled = torch.zeros_like(h).scatter_add(0, dst[:, None].expand_as(message), message)
            x = x + F.relu(self.norms[i]((1 + self.eps[i]) * h + pooled))
        pooled = torch.zeros(int(graph["batch"].max()) + 1, 32).index_add_(0, graph["batch"], x)
        return self.out(pooled)


class DeepSets(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(3, 48), nn.ELU(), nn.Linear(48, 48))
        self.gamma, self.lam = nn.Linear(48, 48), nn.Linear(48, 48, bias=False)
        self.rho = nn.Sequential(nn.Linear(48, 48), nn.ELU(), nn.Linear(48, 7))

    def forward(self, sets: list[Tensor]) -> list[Tensor]:
        out = []
        for s in sets:
            h = self.phi(s)
            h = F.elu(self.gamma(h - h.max(0, keepdim=True).values) + self.lam(h))
            out.append(self.rho(h.sum(0)))
        return out


class Perceiver(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(8, 32) * 0.02)
        self.q, self.kv, self.o = nn.Linear(32, 32, bias=False), nn.Linear(7, 64, bias=False), nn.Linear(32, 32)
        self.nl, self.nx, self.nf = nn.LayerNorm(32), nn.LayerNorm(7), nn.LayerNorm(32)
        self.ff = nn.Sequential(nn.Linear(32, 128), nn.GELU(), nn.Linear(64, 32))
        self.ff[0] = nn.Linear(32, 128)
        self.query, self.head = nn.Parameter(torch.zeros(1, 1, 32)), nn.Linear(32, 5)
        self.cross = nn.MultiheadAttention(32, 4, kdim=32, vdim=16, batch_first=True)
        self.v = nn.Linear(32, 16)

    def forward(self, x: Tensor) -> Tensor:
        z = self.latents.unsqueeze(0).repeat(len(x), 1, 1)
        k, v = self.kv(self.nx(x)).chunk(2, -1)
        for _ in range(3):
            z = z + self.o(F.scaled_dot_product_attention(self.q(self.nl(z)), k, v))
            a, g = self.ff[0](self.nf(z)).chunk(2, -1)
            z = z + self.ff[2](a * F.gelu(g))
        return self.head(self.cross(self.query.expand(len(x), -1, -1), z, self.v(z))[0][:, 0])


class Siamese(nn.Module):
    """CLIP-like: two towers, a temperature, cosine; an EMA twin that is a deep copy without gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.online = nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 16, bias=False))
        self.target = copy.deepcopy(self.online)
        for p in self.target.parameters():
            p.requires_grad_(False)
        self.temperature = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.bias = nn.Parameter(torch.tensor(-10.0))
        self.register_buffer("queue", F.normalize(torch.randn(16, 32), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Any]:
        x, y = F.normalize(self.online(a), dim=1), F.normalize(self.target(b), dim=1)
        return {
            "pair": x @ y.T * self.temperature.exp() + self.bias,
            "queue": x @ self.queue,
            "cos": F.cosine_similarity(x, y),
        }


class ArcFace(nn.Module):
    """A head of cosines: normalised rows of a parameter, a margin, a fixed scale."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 64), nn.PReLU(64), nn.Linear(64, 32))
        self.weight = nn.Parameter(torch.empty(9, 32))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return 16.0 * F.linear(F.normalize(self.net(x)), F.normalize(self.weight))


class OddContainers(nn.Module):
    """ParameterDict, ParameterList, a module in a plain list made visible, complex ties, keyword-only arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterDict({"left": torch.empty(40, 20), "right": torch.empty(40, 20)})
        self.bias = nn.ParameterList([torch.zeros(40), torch.zeros(40)])
        self.register_parameter("nothing", None)
        for name, w in self.weights.items():
            nn.init.orthogonal_(w) if name == "left" else nn.init.normal_(w, std=0.2)
        self.stack = nn.Parameter(torch.stack([torch.eye(40), torch.eye(40)]) + 0.01 * torch.randn(2, 40, 40))
        self.out = nn.Linear(40, 4)
        self.again = self.out

    def forward(self, *, left: Tensor, right: Tensor, flag: bool = True) -> tuple[Tensor, Tensor]:
        a = torch.addmm(self.bias[0], left, self.weights["left"].t())
        b = right.matmul(self.weights["right"].T) + self.bias[1]
        h = torch.tanh(torch.stack([a, b]))
        h = torch.bmm(h, self.stack)
        return self.out(h[0]), self.again(h[1] if flag else h[0])


class LazyTie(nn.Module):
    """Ties in forward by using the encoder's weight transposed; a lazily cached buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Linear(24, 12)
        self.dec_bias = nn.Parameter(torch.zeros(24))
        self.register_buffer("cache", None)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.sigmoid(self.enc(x))
        return F.linear(h, self.enc.weight.t(), self.dec_bias)


class DataFlow(nn.Module):
    """Control flow on the data, early exit, boolean masks, .item()."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(12, 32), nn.Linear(32, 32), nn.Linear(32, 6)
        self.never = nn.Linear(32, 32)
        self.register_buffer("threshold", torch.tensor(1e9))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        mask = x.sum(1) > 0
        h = torch.where(mask[:, None], h, h.roll(1, 0))
        if bool(mask.any()):
            h[mask] = F.relu(self.b(h[mask]))
        if h.norm().item() > self.threshold.item():
            h = self.never(h)
        return self.c(h)


class Recommender(nn.Module):
    """Factorisation machine with EmbeddingBag, first-order weights, biases as embeddings, a cross network."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(100, 16, mode="sum")
        self.first = nn.Embedding(100, 1)
        self.user, self.item = nn.Embedding(30, 16), nn.Embedding(40, 16)
        self.user_bias, self.item_bias = nn.Embedding(30, 1), nn.Embedding(40, 1)
        self.mean = nn.Parameter(torch.tensor(3.5))
        for e in (self.user_bias, self.item_bias, self.first):
            nn.init.zeros_(e.weight)
        self.kernels = nn.ParameterList(nn.Parameter(torch.empty(32, 1)) for _ in range(2))
        self.cross_bias = nn.ParameterList(nn.Parameter(torch.zeros(32, 1)) for _ in range(2))
        for k in self.kernels:
            nn.init.xavier_normal_(k)
        self.deep = nn.Sequential(nn.Linear(48, 32), nn.Dropout(0.2), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, user: Tensor, item: Tensor, bag: Tensor) -> Tensor:
        u, v = self.user(user), self.item(item)
        x0 = torch.cat([u, v], 1).unsqueeze(2)
        x = x0
        for k, b in zip(self.kernels, self.cross_bias, strict=True):
            x = x0 @ (x.transpose(1, 2) @ k) + b + x
        out = (u * v).sum(1) + self.user_bias(user)[:, 0] + self.item_bias(item)[:, 0] + self.mean
        out = out + self.first(bag).sum((1, 2)) + x.sum((1, 2)) * 0.1
        return out + self.deep(torch.cat([u, v, self.table(bag)], 1))[:, 0]


class HalfNet(nn.Module):
    """bfloat16 weights, float32 norms."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(32, 64, dtype=torch.bfloat16), nn.Linear(64, 10, dtype=torch.bfloat16)
        self.n = nn.LayerNorm(64)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.a(x.bfloat16()))
        return self.b(self.n(h.float()).bfloat16()).float()


class NoisyDueling(nn.Module):
    """Factorised noisy layers with noise in buffers, a dueling head, distributional support."""

    class Noisy(nn.Module):
        def __init__(self, i: int, o: int, sigma: float = 0.5) -> None:
            super().__init__()
            self.weight_mu, self.weight_sigma = nn.Parameter(torch.empty(o, i)), nn.Parameter(torch.empty(o, i))
            self.bias_mu, self.bias_sigma = nn.Parameter(torch.empty(o)), nn.Parameter(torch.empty(o))
            self.register_buffer("weight_epsilon", torch.zeros(o, i))
            self.register_buffer("bias_epsilon", torch.zeros(o))
            bound = 1 / math.sqrt(i)
            self.weight_mu.data.uniform_(-bound, bound)
            self.bias_mu.data.uniform_(-bound, bound)
            self.weight_sigma.data.fill_(sigma / math.sqrt(i))
            self.bias_sigma.data.fill_(sigma / math.sqrt(o))

        def forward(self, x: Tensor) -> Tensor:
            w = self.weight_mu + self.weight_sigma * self.weight_epsilon
            return F.linear(x, w, self.bias_mu + self.bias_sigma * self.bias_epsilon)

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(16, 48)
        self.value, self.advantage = self.Noisy(48, 11), self.Noisy(48, 4 * 11)
        self.register_buffer("support", torch.linspace(-10, 10, 11))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = F.relu(self.body(x))
        v, a = self.value(h).view(-1, 1, 11), self.advantage(h).view(-1, 4, 11)
        p = (v + a - a.mean(1, keepdim=True)).softmax(-1)
        return (p * self.support).sum(-1), p


class BayesLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mu, self.rho = nn.Parameter(torch.empty(10, 20)), nn.Parameter(torch.empty(10, 20))
        nn.init.normal_(self.mu, 0, 0.1)
        nn.init.normal_(self.rho, -3.0, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.mu + F.softplus(self.rho) * torch.randn_like(self.mu))


class TensorTrain(nn.Module):
    """A bilinear form, a low-rank product of three cores, a Tucker tensor by einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Parameter(torch.randn(4, 5, 6) * 0.2), nn.Parameter(torch.randn(6, 5, 8) * 0.2)
        self.core = nn.Parameter(torch.empty(8, 12, 10))
        nn.init.xavier_normal_(self.core)
        self.bilinear = nn.Bilinear(10, 12, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        w = torch.einsum("aor,rpc->aopc", self.c1, self.c2).reshape(4 * 5, 5 * 8)
        h = torch.tanh(x @ w).view(-1, 5, 8).mean(1)
        z = torch.einsum("bi,bj,ijk->bk", h, y, self.core)
        return self.bilinear(z, y)


def _graph():
    g = torch.Generator().manual_seed(1)
    edges = torch.randint(0, 12, (2, 30), generator=g)
    batch = torch.tensor([0] * 6 + [1] * 6)
    bond = torch.randint(0, 5, (30,), generator=g)
    return ({"x": torch.randint(0, 20, (12,), generator=g), "edges": edges, "bond": bond, "batch": batch},), {}


def _sets():
    return ([torch.randn(5, 3), torch.randn(9, 3)],), {}


def _odd():
    return (), {"left": torch.randn(8, 20), "right": torch.randn(8, 20)}


def _rec():
    g = torch.Generator().manual_seed(1)
    return (
        torch.randint(0, 30, (8,), generator=g),
        torch.randint(0, 40, (8,), generator=g),
        torch.randint(0, 100, (8, 4), generator=g),
    ), {}


ZERO, ONE = "Constant(value=0.0)", "Constant(value=1.0)"
CASES = [
    Case(
        "batch_renorm",
        RenormNet,
        floats(32, 20),
        {"a.weight": (20, 48)},
        10,
        {"n.gamma": ONE, "n.beta": ZERO, "n.avg": ZERO, "n.sigma": ONE},
    ),
    Case("kan", KAN, lambda: ((torch.rand(16, 6) * 2 - 1,), {}), {"layers.1.base_weight": (24, 10)}, 10),
    Case("complex", ComplexNet, floats(16, 12), {"a.weight": (12, 32), "b.weight": (32, 5)}),
    Case("fno", FNO, floats(4, 1, 32), {}),
    Case("capsules", Capsules, floats(4, 1, 16, 16), {"conv.weight": (25, 32 * 25 / 4)}),
    Case("neural_ode", NeuralODE, floats(16, 10), {"f1.weight": (33, 64)}, 4),
    Case("gcn", GCN, _graph, {"lin.0.weight": (32, 32)}, 6, {"eps": ZERO}),
    Case("deep_sets", DeepSets, _sets, {"rho.2.weight": (48, 7)}, 7),
    Case("perceiver", Perceiver, floats(4, 12, 7), {"kv.weight": (7, 32)}, 5),
    Case(
        "siamese",
        Siamese,
        lambda: ((torch.randn(8, 20), torch.randn(8, 20)), {}),
        {},
        0,
        {"bias": "Constant(value=-10.0)"},
    ),
    Case("arcface", ArcFace, floats(16, 20), {}, 0),
    Case("odd_containers", OddContainers, _odd, {"weights.left": (20, 40), "stack": (40, 40)}, 4),
    Case("lazy_tie", LazyTie, floats(16, 24), {}),
    Case("data_flow", DataFlow, floats(16, 12), {"b.weight": (32, 32)}, 6),
    Case("recommender", Recommender, _rec, {}, 0, {"mean": "Constant(value=3.5)"}),
    Case("half", HalfNet, floats(16, 32), {"a.weight": (32, 64)}, 10),
    Case("noisy_dueling", NoisyDueling, floats(16, 16), {"body.weight": (16, 48)}, 0, {"value.weight_epsilon": ZERO}),
    Case("bayes", BayesLinear, floats(16, 20), {}),
    Case("tensor_train", TensorTrain, lambda: ((torch.randn(16, 20), torch.randn(16, 12)), {}), {}),
]
