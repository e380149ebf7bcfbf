"""Generators, flows, fields and codes, as people write them by hand."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, floats


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(100, 64), nn.ELU(), nn.Linear(64, 2 * 8))
        self.dec = nn.Sequential(nn.Linear(8, 64), nn.ELU(), nn.Linear(64, 100))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        mu, logvar = self.enc(x).chunk(2, -1)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(-1)
        return {"x": torch.sigmoid(self.dec(z)), "kl": kl}


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sn = nn.utils.parametrizations.spectral_norm
        self.net = nn.Sequential(
            sn(nn.Conv2d(3, 16, 4, 2, 1)), nn.LeakyReLU(0.1), sn(nn.Conv2d(16, 32, 4, 2, 1)), nn.LeakyReLU(0.1)
        )
        self.fc = sn(nn.Linear(32 * 16, 1))
        self.classes = sn(nn.Embedding(10, 32 * 16))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.net(x).flatten(1)
        return self.fc(h).squeeze(1) + (self.classes(y) * h).sum(1)


class DCGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.ConvTranspose2d(16, 64, 4, 1, 0, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
            nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
            nn.ConvTranspose2d(32, 3, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip
        self.apply(self._dcgan)

    @staticmethod
    def _dcgan(m: nn.Module) -> None:
        name = type(m).__name__
        if "Conv" in name:
            m.weight.data.normal_(0.0, 0.02)
        elif "BatchNorm" in name:
            m.weight.data.normal_(1.0, 0.02)
            m.bias.data.fill_(0)

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z[:, :, None, None])


class EqualLinear(nn.Module):
    def __init__(self, i: int, o: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(o, i).div_(rate))
        self.bias = nn.Parameter(torch.full((o,), float(bias) / rate))
        self.scale, self.rate = 1 / math.sqrt(i) * rate, rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class StyleConv(nn.Module):
    """Weights modulated by a style and demodulated, run as a grouped convolution; noise with a strength of zero."""

    def __init__(self, i: int, o: int, style: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, o, i, 3, 3))
        self.affine = EqualLinear(style, i, bias=1.0)
        self.noise_strength = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(o))
        self.register_buffer("noise", torch.randn(1, 1, 8, 8))
        self.scale = 1 / math.sqrt(9 * i)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        b, c, h, w = x.shape
        s = self.affine(style).view(b, 1, c, 1, 1)
        k = self.scale * self.weight * s
        k = k * torch.rsqrt(k.pow(2).sum((2, 3, 4), keepdim=True) + 1e-8)
        y = F.conv2d(x.reshape(1, b * c, h, w), k.view(-1, c, 3, 3), padding=1, groups=b).view(b, -1, h, w)
        y = y + self.noise_strength * self.noise + self.bias.view(1, -1, 1, 1)
        return F.leaky_relu(y, 0.2) * math.sqrt(2)


class StyleGAN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.m1, self.m2 = EqualLinear(16, 24, rate=0.01), EqualLinear(24, 24, rate=0.01)
        self.const = nn.Parameter(torch.randn(1, 16, 8, 8))
        self.c1, self.c2 = StyleConv(16, 16, 24), StyleConv(16, 12, 24)
        self.rgb = nn.Conv2d(12, 3, 1)
        self.register_buffer("w_avg", torch.zeros(24))

    def forward(self, z: Tensor) -> Tensor:
        z = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        w = F.leaky_relu(self.m2(F.leaky_relu(self.m1(z), 0.2)), 0.2)
        w = self.w_avg.lerp(w, 0.7)
        x = self.const.repeat(len(z), 1, 1, 1)
        return self.rgb(self.c2(self.c1(x, w), w))


class ActNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.loc, self.log_scale = nn.Parameter(torch.zeros(1, width)), nn.Parameter(torch.zeros(1, width))
        self.register_buffer("initialized", torch.tensor(0, dtype=torch.uint8))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training and not self.initialized.item():
            with torch.no_grad():
                self.loc.copy_(-x.mean(0, keepdim=True))
                self.log_scale.copy_(-x.std(0, keepdim=True).log())
                self.initialized.fill_(1)
        return (x + self.loc) * self.log_scale.exp(), self.log_scale.sum()


class InvertibleLU(nn.Module):
    """A rotation at first, kept as P L U, drawn in the constructor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        q = torch.linalg.qr(torch.randn(width, width))[0]
        p, lower, upper = torch.linalg.lu(q)
        s = upper.diagonal()
        self.register_buffer("p", p)
        self.register_buffer("sign_s", torch.sign(s))
        self.lower, self.log_s = nn.Parameter(lower), nn.Parameter(torch.log(torch.abs(s)))
        self.upper = nn.Parameter(torch.triu(upper, 1))
        self.register_buffer("mask", torch.tril(torch.ones(width, width), -1))
        self.register_buffer("eye", torch.eye(width))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        lower = self.lower * self.mask + self.eye
        upper = self.upper * self.mask.T + torch.diag(self.sign_s * torch.exp(self.log_s))
        return x @ (self.p @ lower @ upper).T, self.log_s.sum()


class Coupling(nn.Module):
    def __init__(self, width: int, flip: bool) -> None:
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(
            nn.Linear(width // 2, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, width)
        )
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)
        self.scale = nn.Parameter(torch.ones(width // 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.chunk(2, -1)
        if self.flip:
            a, b = b, a
        s, t = self.net(a).chunk(2, -1)
        s = self.scale * torch.tanh(s)
        b = b * s.exp() + t
        return torch.cat((b, a) if self.flip else (a, b), -1), s.sum(-1)


class Glow(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            m for i in range(3) for m in (ActNorm(width), InvertibleLU(width), Coupling(width, bool(i % 2)))
        )
        self.register_buffer("loc", torch.zeros(width))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros(len(x))
        for step in self.steps:
            x, det = step(x)
            total = total + det
        return x, total - 0.5 * ((x - self.loc) ** 2).sum(-1)


class MADE(nn.Module):
    """Masked linear layers: masks in buffers, multiplied into the weight."""

    def __init__(self, width: int = 8, hidden: int = 32) -> None:
        super().__init__()
        self.l1, self.l2 = nn.Linear(width, hidden), nn.Linear(hidden, 2 * width)
        order, units = torch.arange(width), torch.arange(hidden) % (width - 1)
        self.register_buffer("m1", (units[:, None] >= order[None]).float())
        self.register_buffer("m2", (order.repeat(2)[:, None] > units[None]).float())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = F.relu(F.linear(x, self.l1.weight * self.m1, self.l1.bias))
        mu, log_sigma = F.linear(h, self.l2.weight * self.m2, self.l2.bias).chunk(2, -1)
        return (x - mu) * torch.exp(-log_sigma), -log_sigma.sum(-1)


class Siren(nn.Module):
    def __init__(self, width: int = 64, omega: float = 30.0) -> None:
        super().__init__()
        self.omega = omega
        self.layers = nn.ModuleList([nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, width)])
        self.last = nn.Linear(width, 3)
        with torch.no_grad():
            for i, layer in enumerate(self.layers):
                n = layer.in_features
                bound = 1 / n if i == 0 else math.sqrt(6 / n) / omega
                layer.weight.uniform_(-bound, bound)
            bound = math.sqrt(6 / width) / omega
            self.last.weight.uniform_(-bound, bound)

    def forward(self, xy: Tensor) -> Tensor:
        for layer in self.layers:
            xy = torch.sin(self.omega * layer(xy))
        return self.last(xy)


class NeRF(nn.Module):
    """Frequencies, a skip at the middle layer, density by softplus of a shifted output, colour by a sigmoid."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.register_buffer("bands", 2.0 ** torch.arange(6), persistent=False)
        n = 3 * 2 * 6 + 3
        self.layers = nn.ModuleList(
            [nn.Linear(n, width)] + [nn.Linear(width + (n if i == 2 else 0), width) for i in range(1, 5)]
        )
        self.sigma, self.feature = nn.Linear(width, 1), nn.Linear(width, width)
        self.colour = nn.Sequential(nn.Linear(width + 3, 32), nn.ReLU(), nn.Linear(32, 3), nn.Sigmoid())

    def forward(self, rays: dict[str, Tensor]) -> dict[str, Tensor]:
        x = rays["points"]
        angles = (x[..., None] * self.bands).flatten(-2)
        e = torch.cat([x, angles.sin(), angles.cos()], -1)
        h = e
        for i, layer in enumerate(self.layers):
            h = F.relu(layer(torch.cat([h, e], -1) if i == 2 else h))
        density = F.softplus(self.sigma(h) - 1.0)
        return {"sigma": density, "rgb": self.colour(torch.cat([self.feature(h), rays["view"]], -1))}


class FourierFeatures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("B", torch.randn(2, 32) * 10.0)
        self.net = nn.Sequential(
            nn.Linear(64, 64), nn.Softplus(beta=100), nn.Linear(64, 64), nn.Softplus(beta=100), nn.Linear(64, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        p = 2 * math.pi * x @ self.B
        return self.net(torch.cat([p.sin(), p.cos()], -1))


class DiTBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.n1, self.n2 = (nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.attn = nn.MultiheadAttention(width, 4, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 96), nn.GELU("tanh"), nn.Linear(96, width))
        self.ada = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        nn.init.constant_(self.ada[-1].weight, 0)
        nn.init.constant_(self.ada[-1].bias, 0)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        s1, k1, g1, s2, k2, g2 = self.ada(c).unsqueeze(1).chunk(6, -1)
        h = self.n1(x) * (1 + k1) + s1
        x = x + g1 * self.attn(h, h, h)[0]
        return x + g2 * self.mlp(self.n2(x) * (1 + k2) + s2)


class DiT(nn.Module):
    """adaLN-zero, sinusoidal time, class dropout row, frozen sine table as a parameter without gradient."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.patch = nn.Linear(12, width)
        self.pos = nn.Parameter(torch.zeros(1, 16, width), requires_grad=False)
        self.time = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(11, width)
        self.blocks = nn.ModuleList(DiTBlock(width) for _ in range(2))
        self.final = nn.LayerNorm(width, elementwise_affine=False)
        self.out = nn.Linear(width, 12)
        table = torch.outer(torch.arange(16).float(), 10000 ** (-torch.arange(width // 2) / (width // 2)))
        self.pos.data.copy_(torch.cat([table.sin(), table.cos()], 1)[None])
        nn.init.normal_(self.label.weight, std=0.02)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        angles = t[:, None] * torch.exp(-math.log(10000) * torch.arange(16) / 16)
        c = self.time(torch.cat([angles.cos(), angles.sin()], -1)) + self.label(y)
        x = self.patch(x) + self.pos
        for block in self.blocks:
            x = block(x, c)
        return self.out(self.final(x))


class DiffusionUNet(nn.Module):
    """Group norms, time embedding added, FiLM scale and shift, attention in the middle, a zero last convolution."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, 32), nn.SiLU())
        self.inp = nn.Conv2d(3, width, 3, padding=1)
        self.n1, self.c1, self.t1 = (
            nn.GroupNorm(4, width),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.Linear(32, 4 * width),
        )
        self.n2, self.c2 = nn.GroupNorm(4, 2 * width), nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.skip = nn.Conv2d(width, 2 * width, 1)
        self.na, self.qkv, self.po = (
            nn.GroupNorm(4, 2 * width),
            nn.Conv1d(2 * width, 6 * width, 1),
            nn.Conv1d(2 * width, 2 * width, 1),
        )
        self.up = nn.ConvTranspose2d(2 * width, width, 4, 2, 1)
        self.nf, self.out = nn.GroupNorm(4, width), nn.Conv2d(width, 3, 3, padding=1)
        for m in (self.c2, self.po, self.out):
            for p in m.parameters():
                p.detach().zero_()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        freq = torch.exp(-torch.arange(8) * 0.5)
        e = self.time(torch.cat([torch.sin(t[:, None] * freq), torch.cos(t[:, None] * freq)], -1))
        h0 = F.avg_pool2d(self.inp(x), 2)
        h = self.c1(F.silu(self.n1(h0)))
        scale, shift = self.t1(e)[:, :, None, None].chunk(2, 1)
        h = self.c2(F.silu(self.n2(h) * (1 + scale) + shift))
        h = h + self.skip(h0)
        b, c, hh, ww = h.shape
        q, k, v = self.qkv(self.na(h).flatten(2)).chunk(3, 1)
        w = torch.einsum("bct,bcs->bts", q * c**-0.25, k * c**-0.25).softmax(-1)
        h = h + self.po(torch.einsum("bts,bcs->bct", w, v)).view(b, c, hh, ww)
        return self.out(F.silu(self.nf(self.up(h))))


class VQVAE(nn.Module):
    """Nearest code by distance, straight through, with moving averages in buffers."""

    def __init__(self, codes: int = 32, width: int = 16) -> None:
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, width, 1))
        self.dec = nn.Sequential(nn.ConvTranspose2d(width, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 3, 1))
        embed = torch.randn(width, codes)
        self.register_buffer("embed", embed)
        self.register_buffer("cluster_size", torch.zeros(codes))
        self.register_buffer("embed_avg", embed.clone())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.enc(x).permute(0, 2, 3, 1)
        flat = z.reshape(-1, z.shape[-1])
        dist = flat.pow(2).sum(1, keepdim=True) - 2 * flat @ self.embed + self.embed.pow(2).sum(0, keepdim=True)
        index = dist.argmin(1)
        q = F.embedding(index, self.embed.T).view(z.shape)
        if self.training:
            onehot = F.one_hot(index, self.embed.shape[1]).to(flat.dtype)
            self.cluster_size.data.mul_(0.99).add_(onehot.sum(0), alpha=0.01)
            self.embed_avg.data.mul_(0.99).add_(flat.T @ onehot, alpha=0.01)
            n = self.cluster_size.sum()
            size = (self.cluster_size + 1e-5) / (n + 32 * 1e-5) * n
            self.embed.data.copy_(self.embed_avg / size.unsqueeze(0))
        loss = (q.detach() - z).pow(2).mean()
        q = z + (q - z).detach()
        return self.dec(q.permute(0, 3, 1, 2)), loss


class VQLearned(nn.Module):
    """A codebook that learns by gradient: an embedding whose rows are compared by torch.cdist, U(-1/K, 1/K)."""

    def __init__(self, codes: int = 32, width: int = 16) -> None:
        super().__init__()
        self.enc, self.dec = nn.Linear(20, width), nn.Linear(width, 20)
        self.codebook = nn.Embedding(codes, width)
        self.codebook.weight.data.uniform_(-1.0 / codes, 1.0 / codes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.enc(x)
        index = torch.cdist(z, self.codebook.weight).argmin(-1)
        q = self.codebook(index)
        loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(q.detach(), z)
        return self.dec(z + (q - z).detach()), loss


class HyperNet(nn.Module):
    """Weights of a layer made by another network from a learnt code."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.randn(4))
        self.hyper = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 10 * 16 + 16))
        self.last = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        made = self.hyper(self.code)
        w, b = made[:160].view(16, 10), made[160:]
        return self.last(torch.tanh(F.linear(x, w, b)))


class FiLM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.film = nn.Linear(6, 2 * 32)
        with torch.no_grad():
            self.film.weight.zero_()
            self.film.bias.copy_(torch.cat([torch.ones(32), torch.zeros(32)]))
        self.a, self.norm, self.b = nn.Linear(20, 32), nn.BatchNorm1d(32, affine=False), nn.Linear(32, 10)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gamma, beta = self.film(condition).chunk(2, -1)
        return self.b(F.relu(gamma * self.norm(self.a(x)) + beta))


class Planar(nn.Module):
    """Planar flow: u, w, b vectors, u kept valid by a formula; a mixture density head with log weights."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.u, self.w = (
            nn.ParameterList(nn.Parameter(torch.randn(1, width).mul_(0.01)) for _ in range(3)) for _ in range(2)
        )
        self.b = nn.ParameterList(nn.Parameter(torch.zeros(1)) for _ in range(3))
        self.log_pi, self.mu = nn.Parameter(torch.zeros(5)), nn.Parameter(torch.randn(5, width))
        self.log_sigma = nn.Parameter(torch.full((5, width), -0.5))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros(len(z))
        for u, w, b in zip(self.u, self.w, self.b, strict=True):
            dot = (w * u).sum()
            fixed = u + (-1 + F.softplus(dot) - dot) * w / w.square().sum()
            lin = F.linear(z, w, b)
            psi = (1 - torch.tanh(lin) ** 2) * w
            total = total + torch.log(torch.abs(1 + psi @ fixed.T) + 1e-8).squeeze(1)
            z = z + fixed * torch.tanh(lin)
        d = (z[:, None] - self.mu) / self.log_sigma.exp()
        comp = self.log_pi.log_softmax(0) - 0.5 * d.square().sum(-1) - self.log_sigma.sum(-1)
        return z, total + comp.logsumexp(1)


def _disc():
    g = torch.Generator().manual_seed(1)
    return (torch.randn(4, 3, 16, 16, generator=g), torch.randint(0, 10, (4,), generator=g)), {}


def _rays():
    g = torch.Generator().manual_seed(1)
    return ({"points": torch.rand(64, 3, generator=g) * 2 - 1, "view": torch.randn(64, 3, generator=g)},), {}


def _dit():
    g = torch.Generator().manual_seed(1)
    return (
        torch.randn(4, 16, 12, generator=g),
        torch.rand(4, generator=g) * 1000,
        torch.randint(0, 11, (4,), generator=g),
    ), {}


def _noisy():
    g = torch.Generator().manual_seed(1)
    return (torch.randn(2, 3, 16, 16, generator=g), torch.rand(2, generator=g)), {}


def _film():
    return (torch.randn(16, 20), torch.randn(16, 6)), {}


ZERO = "Constant(value=0.0)"
CASES = [
    Case("vae", VAE, floats(16, 100), {"enc.2.weight": (64, 8), "dec.0.weight": (8, 64)}),
    Case("discriminator", Discriminator, _disc, {"net.2.weight": (256, 32 * 4)}),
    Case("dcgan", DCGenerator, floats(16, 16), {"net.0.weight": (16, 64 * 16), "net.3.weight": (64 * 4, 32 * 16)}),
    Case(
        "stylegan",
        StyleGAN,
        floats(4, 16),
        {"m1.weight": (16, 24)},
        0,
        {"c1.noise_strength": ZERO, "c1.affine.bias": "Constant(value=1.0)"},
    ),
    Case(
        "glow",
        Glow,
        floats(32, 8),
        {"steps.2.net.0.weight": (4, 48)},
        0,
        {"steps.2.net.4.weight": ZERO, "steps.0.loc": ZERO},
    ),
    Case("made", MADE, floats(32, 8), {"l1.weight": (8, 32)}),
    Case("siren", Siren, floats(64, 2), {"layers.1.weight": (64, 64)}),
    Case("nerf", NeRF, _rays, {"layers.2.weight": (64 + 39, 64)}),
    Case("fourier", FourierFeatures, floats(64, 2), {"net.0.weight": (64, 64)}),
    Case("dit", DiT, _dit, {"blocks.0.ada.1.weight": (48, 48)}, 0, {"blocks.0.ada.1.weight": ZERO, "out.weight": ZERO}),
    Case(
        "diffusion_unet",
        DiffusionUNet,
        _noisy,
        {"qkv.weight": (32, 32), "t1.weight": (32, 32)},
        0,
        {"c2.weight": ZERO, "po.weight": ZERO, "out.weight": ZERO},
    ),
    Case("vq_ema", VQVAE, floats(4, 3, 16, 16), {"dec.0.weight": (16 * 4, 16 * 16)}),
    Case("vq_learned", VQLearned, floats(16, 20), {}),
    Case("hypernet", HyperNet, floats(16, 10), {"last.weight": (16, 3)}),
    Case("film", FiLM, _film, {"a.weight": (20, 32)}, 10),
    Case("planar", Planar, floats(32, 4)),
]
