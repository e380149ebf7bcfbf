"""Recurrent networks, state spaces and convolutions in time, as people write them by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, floats, tokens


class LSTMByHand(nn.Module):
    """One matrix for the input, one for the state, four gates, forget bias 1, written with addmm-like lines."""

    def __init__(self, inputs: int = 16, width: int = 32) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(inputs, 4 * width))
        self.U = nn.Parameter(torch.empty(width, 4 * width))
        self.b = nn.Parameter(torch.zeros(4 * width))
        self.width = width
        self.out = nn.Linear(width, 5)
        nn.init.xavier_uniform_(self.W)
        nn.init.orthogonal_(self.U)
        with torch.no_grad():
            self.b[width : 2 * width].fill_(1.0)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h = c = torch.zeros(x.shape[0], self.width)
        for t in range(x.shape[1]):
            i, f, g, o = (x[:, t] @ self.W + h @ self.U + self.b).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.out(h), (h, c)


class GRUByHand(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 24)
        self.x2h, self.h2h = nn.Linear(24, 3 * width), nn.Linear(width, 3 * width)
        self.h0 = nn.Parameter(torch.zeros(1, width))
        self.readout = nn.Linear(width, 50)
        std = 1.0 / math.sqrt(width)
        for w in self.parameters():
            w.data.uniform_(-std, std)

    def forward(self, ids: Tensor) -> Tensor:
        x, h, outs = self.embed(ids), self.h0.expand(ids.shape[0], -1), []
        for step in x.unbind(1):
            xr, xz, xn = self.x2h(step).chunk(3, -1)
            hr, hz, hn = self.h2h(h).chunk(3, -1)
            r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
            n = torch.tanh(xn + r * hn)
            h = (1 - z) * n + z * h
            outs.append(self.readout(h))
        return torch.stack(outs, 1)


class MinGRU(nn.Module):
    """Gates of the input alone, run as a cumulative sum of logarithms."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, width)
        self.z, self.h = nn.Linear(width, 48), nn.Linear(width, 48)
        self.back, self.norm, self.head = nn.Linear(48, width), nn.RMSNorm(width), nn.Linear(width, 50)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        y = self.norm(x)
        k, tilde = self.z(y), self.h(y)
        log_z, log_coefficients = -F.softplus(-k), -F.softplus(k)
        g = torch.where(tilde >= 0, (F.relu(tilde) + 0.5).log(), -F.softplus(-tilde))
        a = log_coefficients.cumsum(1)
        h = (a + (log_z + g - a).logcumsumexp(1)).exp()
        return self.head(x + self.back(h))


class S4D(nn.Module):
    """Diagonal state space: complex parameters kept as two real ones, kernel by a Vandermonde product, FFT."""

    def __init__(self, width: int = 32, n: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, width)
        log_dt = torch.rand(width) * (math.log(0.1) - math.log(0.001)) + math.log(0.001)
        self.log_dt = nn.Parameter(log_dt)
        self.C = nn.Parameter(torch.view_as_real(torch.randn(width, n, dtype=torch.cfloat)))
        self.log_A_real = nn.Parameter(torch.log(0.5 * torch.ones(width, n)))
        self.A_imag = nn.Parameter(math.pi * torch.arange(n).float().repeat(width, 1))
        self.D = nn.Parameter(torch.randn(width))
        self.mix = nn.Sequential(nn.Conv1d(width, 2 * width, 1), nn.GLU(dim=-2))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def kernel(self, length: int) -> Tensor:
        dt = self.log_dt.exp()
        c = torch.view_as_complex(self.C)
        a = -self.log_A_real.exp() + 1j * self.A_imag
        dta = a * dt.unsqueeze(-1)
        k = dta.unsqueeze(-1) * torch.arange(length)
        c = c * (dta.exp() - 1.0) / a
        return 2 * torch.einsum("hn,hnl->hl", c, k.exp()).real

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(x)
        u = x.transpose(1, 2)
        n = u.shape[-1]
        k = self.kernel(n)
        y = torch.fft.irfft(torch.fft.rfft(k, n=2 * n) * torch.fft.rfft(u, n=2 * n), n=2 * n)[..., :n]
        y = F.gelu(y + u * self.D.unsqueeze(-1))
        x = self.norm(x + self.mix(y).transpose(1, 2))
        return self.head(x.mean(1))


class LRU(nn.Module):
    """Linear recurrent unit: complex B and C as complex parameters, eigenvalues on a ring."""

    def __init__(self, width: int = 24, state: int = 16) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, width)
        u1, u2 = torch.rand(state), torch.rand(state)
        self.nu_log = nn.Parameter(torch.log(-0.5 * torch.log(u1 * (0.99**2 - 0.5**2) + 0.5**2)))
        self.theta_log = nn.Parameter(torch.log(6.28 * u2))
        lam = torch.exp(-torch.exp(self.nu_log.data))
        self.gamma_log = nn.Parameter(torch.log(torch.sqrt(1 - lam**2)))
        self.B = nn.Parameter((torch.randn(state, width) + 1j * torch.randn(state, width)) / math.sqrt(2 * width))
        self.C = nn.Parameter((torch.randn(width, state) + 1j * torch.randn(width, state)) / math.sqrt(state))
        self.D = nn.Parameter(torch.randn(width))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(x)
        lam = torch.exp(-torch.exp(self.nu_log) + 1j * torch.exp(self.theta_log))
        b = self.B * torch.exp(self.gamma_log).unsqueeze(-1)
        state = torch.zeros(x.shape[0], lam.shape[0], dtype=torch.cfloat)
        outs = []
        for t in range(x.shape[1]):
            state = lam * state + x[:, t].to(torch.cfloat) @ b.T
            outs.append((state @ self.C.T).real + self.D * x[:, t])
        return self.head(torch.stack(outs, 1).mean(1))


class SelectiveScan(nn.Module):
    """Mamba-like, with a short depthwise convolution, a low-rank step size and a loop."""

    def __init__(self, width: int = 32, n: int = 4, rank: int = 4) -> None:
        super().__init__()
        inner = 2 * width
        self.rank, self.n = rank, n
        self.embed = nn.Embedding(50, width)
        self.norm = nn.RMSNorm(width)
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, 4, padding=3, groups=inner)
        self.x_proj, self.dt_proj = nn.Linear(inner, rank + 2 * n, bias=False), nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.log(torch.arange(1, n + 1).float().repeat(inner, 1)))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj, self.norm_f = nn.Linear(inner, width, bias=False), nn.RMSNorm(width)
        dt = torch.exp(torch.rand(inner) * (math.log(0.1) - math.log(0.001)) + math.log(0.001)).clamp(min=1e-4)
        with torch.no_grad():
            self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))
        nn.init.uniform_(self.dt_proj.weight, -(rank**-0.5), rank**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        b, t, _ = x.shape
        u, z = self.in_proj(self.norm(x)).chunk(2, -1)
        u = F.silu(self.conv(u.transpose(1, 2))[..., :t].transpose(1, 2))
        dt, bb, cc = self.x_proj(u).split([self.rank, self.n, self.n], -1)
        dt = F.softplus(self.dt_proj(dt))
        a = -torch.exp(self.A_log)
        h, ys = torch.zeros(b, u.shape[-1], self.n), []
        for i in range(t):
            h = torch.exp(dt[:, i, :, None] * a) * h + dt[:, i, :, None] * bb[:, i, None] * u[:, i, :, None]
            ys.append((h * cc[:, i, None]).sum(-1))
        y = (torch.stack(ys, 1) + self.D * u) * F.silu(z)
        return F.linear(self.norm_f(x + self.out_proj(y)), self.embed.weight)


class ConvLSTM(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.conv = nn.Conv2d(3 + width, 4 * width, 5, padding=2)
        self.wci, self.wcf, self.wco = (nn.Parameter(torch.zeros(1, width, 8, 8)) for _ in range(3))
        self.out = nn.Conv2d(width, 3, 1)

    def forward(self, frames: Tensor) -> Tensor:
        h = c = torch.zeros(frames.shape[0], self.width, 8, 8)
        outs = []
        for t in range(frames.shape[1]):
            i, f, g, o = self.conv(torch.cat([frames[:, t], h], 1)).chunk(4, 1)
            c_next = torch.sigmoid(f + self.wcf * c) * c + torch.sigmoid(i + self.wci * c) * torch.tanh(g)
            h, c = torch.sigmoid(o + self.wco * c_next) * torch.tanh(c_next), c_next
            outs.append(torch.sigmoid(self.out(h)))
        return torch.stack(outs, 1)


class TCN(nn.Module):
    """Dilated, causal by cutting, weight-normalised in the old way, dropout, residual with 1x1."""

    def __init__(self) -> None:
        super().__init__()
        norm = torch.nn.utils.parametrizations.weight_norm
        widths = [4, 24, 24, 24]
        self.c1, self.c2, self.down = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for i, (a, b) in enumerate(pairwise(widths)):
            first, second = (
                nn.Conv1d(a, b, 3, padding=2 * 2**i, dilation=2**i),
                nn.Conv1d(b, b, 3, padding=2 * 2**i, dilation=2**i),
            )
            first.weight.data.normal_(0, 0.01)
            second.weight.data.normal_(0, 0.01)
            self.c1.append(norm(first))
            self.c2.append(norm(second))
            self.down.append(nn.Conv1d(a, b, 1) if a != b else nn.Identity())
        self.drop, self.fc = nn.Dropout(0.1), nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[-1]
        for c1, c2, down in zip(self.c1, self.c2, self.down, strict=True):
            h = self.drop(F.relu(c1(x)[..., :n]))
            h = self.drop(F.relu(c2(h)[..., :n]))
            x = F.relu(h + down(x))
        return self.fc(x[:, :, -1])


class WaveNet(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.inp = nn.Embedding(64, width)
        self.gated = nn.ModuleList(nn.Conv1d(width, 2 * width, 2, dilation=2**i) for i in range(5))
        self.cond = nn.ModuleList(nn.Linear(8, 2 * width, bias=False) for _ in range(5))
        self.res = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(5))
        self.skip = nn.ModuleList(nn.Conv1d(width, 32, 1) for _ in range(5))
        self.o1, self.o2 = nn.Conv1d(32, 32, 1), nn.Conv1d(32, 64, 1)

    def forward(self, ids: Tensor, speaker: Tensor) -> Tensor:
        x, total = self.inp(ids).transpose(1, 2), 0
        for i in range(5):
            h = self.gated[i](F.pad(x, (2**i, 0))) + self.cond[i](speaker)[:, :, None]
            a, b = h.chunk(2, 1)
            h = torch.tanh(a) * torch.sigmoid(b)
            total = total + self.skip[i](h)
            x = (x + self.res[i](h)) * math.sqrt(0.5)
        return self.o2(F.relu(self.o1(F.relu(total)))).transpose(1, 2)


class PointerNet(nn.Module):
    """Additive attention v·tanh(W1 e + W2 d) as pointers, nn.LSTM and LSTMCell, a start vector."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.LSTM(2, width, batch_first=True), nn.LSTMCell(2, width)
        self.w1, self.w2 = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.v = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))
        self.start = nn.Parameter(torch.empty(2))
        nn.init.uniform_(self.start, -1, 1)

    def forward(self, points: Tensor) -> Tensor:
        e, (h, c) = self.encoder(points)
        h, c, x, rows = h[0], c[0], self.start.expand(points.shape[0], -1), []
        for _ in range(points.shape[1]):
            h, c = self.decoder(x, (h, c))
            scores = torch.tanh(self.w1(e) + self.w2(h).unsqueeze(1)) @ self.v
            x = (scores.softmax(-1).unsqueeze(-1) * points).sum(1)
            rows.append(scores.log_softmax(-1))
        return torch.stack(rows, 1)


class CRFTagger(nn.Module):
    """BiLSTM and a linear-chain CRF whose transitions are parameters, and whose forward is the loss."""

    def __init__(self, tags: int = 7, width: int = 24) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, width, padding_idx=0)
        self.lstm = nn.LSTM(width, width // 2, bidirectional=True, batch_first=True)
        self.emit = nn.Linear(width, tags)
        self.start, self.end = nn.Parameter(torch.empty(tags)), nn.Parameter(torch.empty(tags))
        self.transitions = nn.Parameter(torch.empty(tags, tags))
        for p in (self.start, self.end, self.transitions):
            nn.init.uniform_(p, -0.1, 0.1)

    def forward(self, ids: Tensor, tags: Tensor) -> Tensor:
        e = self.emit(self.lstm(self.embed(ids))[0])
        rows = torch.arange(ids.shape[0])
        score = self.start[tags[:, 0]] + e[rows, 0, tags[:, 0]]
        alpha = self.start + e[:, 0]
        for t in range(1, ids.shape[1]):
            score = score + self.transitions[tags[:, t - 1], tags[:, t]] + e[rows, t, tags[:, t]]
            alpha = torch.logsumexp(alpha.unsqueeze(2) + self.transitions + e[:, t].unsqueeze(1), dim=1)
        score = score + self.end[tags[:, -1]]
        return (torch.logsumexp(alpha + self.end, 1) - score).mean()


class CTCSpeech(nn.Module):
    """Packed sequences, a bidirectional GRU, hardtanh convolutions, log-probabilities for CTC."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 8, (5, 5), (2, 2), (2, 2), bias=False), nn.BatchNorm2d(8), nn.Hardtanh(0, 20, inplace=True)
        )
        self.rnn = nn.GRU(8 * 10, 24, bidirectional=True)
        self.fc = nn.Sequential(nn.BatchNorm1d(24), nn.Linear(24, 30, bias=False))

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        x = self.conv(batch["spectrogram"].unsqueeze(1))
        b, c, f, t = x.shape
        x = x.view(b, c * f, t).permute(2, 0, 1)
        packed = nn.utils.rnn.pack_padded_sequence(x, batch["lengths"], enforce_sorted=False)
        x, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0])
        x = x.view(x.shape[0], b, 2, 24).sum(2)
        n = x.shape[0]
        return {"log_probs": self.fc(x.reshape(n * b, -1)).view(n, b, -1).log_softmax(-1)}


class EchoState(nn.Module):
    """A reservoir: fixed random matrices in buffers, scaled to a spectral radius; only the readout learns."""

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        w = torch.randn(width, width) * (torch.rand(width, width) < 0.2)
        w = w * (0.9 / torch.linalg.eigvals(w).abs().max())
        self.register_buffer("w", w)
        self.register_buffer("w_in", torch.rand(width, 3) * 2 - 1)
        self.readout = nn.Linear(width + 3, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[0], self.w.shape[0])
        for t in range(x.shape[1]):
            h = 0.7 * h + 0.3 * torch.tanh(x[:, t] @ self.w_in.T + h @ self.w.T)
        return self.readout(torch.cat([h, x[:, -1]], -1))


def _wave():
    g = torch.Generator().manual_seed(1)
    return (torch.randint(0, 64, (2, 40), generator=g), torch.randn(2, 8, generator=g)), {}


def _tagged():
    g = torch.Generator().manual_seed(1)
    return (), {"ids": torch.randint(1, 50, (3, 9), generator=g), "tags": torch.randint(0, 7, (3, 9), generator=g)}


def _speech():
    g = torch.Generator().manual_seed(1)
    return ({"spectrogram": torch.randn(3, 20, 30, generator=g), "lengths": torch.tensor([15, 12, 9])},), {}


CASES = [
    Case("lstm_by_hand", LSTMByHand, floats(8, 7, 16), {"W": (16, 32), "U": (32, 32)}, 5),
    Case("gru_by_hand", GRUByHand, tokens(50, 4, 9), {"x2h.weight": (24, 32), "h2h.weight": (32, 32)}, 50),
    Case("min_gru", MinGRU, tokens(50, 4, 9), {"z.weight": (32, 48)}, 50),
    Case("s4d", S4D, floats(4, 32, 3), {"mix.0.weight": (32, 32)}, 10),
    Case("lru", LRU, floats(4, 16, 3), {"B": (24, 16), "C": (16, 24)}, 10),
    Case(
        "selective_scan",
        SelectiveScan,
        tokens(50, 2, 9),
        {"in_proj.weight": (32, 64), "x_proj.weight": (64, 4)},
        50,
        {"D": "Constant(value=1.0)"},
    ),
    Case(
        "conv_lstm",
        ConvLSTM,
        floats(2, 4, 3, 8, 8),
        {"conv.weight": (19 * 25, 16 * 25)},
        0,
        {"wci": "Constant(value=0.0)"},
    ),
    Case("tcn", TCN, floats(4, 4, 32), {"c1.1.weight": (72, 72)}, 10),
    Case("wavenet", WaveNet, _wave, {"gated.0.weight": (48, 48), "skip.0.weight": (24, 32)}, 64),
    Case("pointer", PointerNet, floats(4, 6, 2), {"w1.weight": (32, 32)}, 6),
    Case("crf", CRFTagger, _tagged, {"emit.weight": (24, 7)}),
    Case("ctc", CTCSpeech, _speech, {"fc.1.weight": (24, 30)}, 30),
    Case("echo_state", EchoState, floats(4, 9, 3), {"readout.weight": (43, 4)}, 4),
]
