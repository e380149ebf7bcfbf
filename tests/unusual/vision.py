"""Networks on images, as people write them by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, floats


class PreActBottleneck(nn.Module):
    def __init__(self, width: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(width), nn.BatchNorm2d(planes), nn.BatchNorm2d(planes)
        self.conv1 = nn.Conv2d(width, planes, 1, bias=False)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.short = nn.Conv2d(width, 4 * planes, 1, stride, bias=False) if stride > 1 or width != 4 * planes else None
        self.fc1, self.fc2 = nn.Conv2d(4 * planes, 8, 1), nn.Conv2d(8, 4 * planes, 1)
        self.drop = 0.1

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(x))
        short = x if self.short is None else self.short(h)
        h = self.conv1(h)
        h = self.conv2(F.relu(self.bn2(h)))
        h = self.conv3(F.relu(self.bn3(h)))
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(h, 1)))))
        h = h * gate
        if self.training and self.drop:
            keep = torch.rand(h.shape[0], 1, 1, 1) >= self.drop
            h = h * keep / (1 - self.drop)
        return short + h


class PreActSEResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(
            PreActBottleneck(32, 16), PreActBottleneck(64, 16), PreActBottleneck(64, 16, 2), PreActBottleneck(64, 16)
        )
        self.norm, self.fc = nn.BatchNorm2d(64), nn.Linear(64, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))
        return self.fc(F.relu(self.norm(x)).mean((2, 3)))


class DenseNet(nn.Module):
    def __init__(self, growth: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        width, self.layers = 16, nn.ModuleList()
        for _ in range(4):
            self.layers.append(
                nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, growth, 3, padding=1, bias=False))
            )
            width += growth
        self.squeeze, self.head = nn.Conv2d(width, width // 2, 1), nn.Linear(width // 2, 10)

    def forward(self, x: Tensor) -> Tensor:
        features = [self.stem(x)]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return self.head(F.avg_pool2d(self.squeeze(torch.cat(features, 1)), 32).flatten(1))


class ChannelsFirstNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        x = (x - u) / torch.sqrt(s + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class GRN(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.zeros(1, 1, 1, width)), nn.Parameter(torch.zeros(1, 1, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        g = torch.norm(x, p=2, dim=(1, 2), keepdim=True)
        n = g / (g.mean(dim=-1, keepdim=True) + 1e-6)
        return self.gamma * (x * n) + self.beta + x


class ConvNeXtBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dw = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.grn = GRN(4 * width)
        self.gamma = nn.Parameter(1e-6 * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.dw(x).permute(0, 2, 3, 1))
        h = self.gamma * self.down(self.grn(F.gelu(self.up(h))))
        return x + h.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 4, 4), ChannelsFirstNorm(24))
        self.stages = nn.Sequential(
            ConvNeXtBlock(24), ConvNeXtBlock(24), ChannelsFirstNorm(24), nn.Conv2d(24, 48, 2, 2), ConvNeXtBlock(48)
        )
        self.norm, self.head = nn.LayerNorm(48), nn.Linear(48, 10)
        self.apply(self._init)
        self.head.weight.data.mul_(0.001)
        self.head.bias.data.mul_(0.001)

    def _init(self, m: nn.Module) -> None:
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.trunc_normal_(m.weight, std=0.02)
            nn.init.constant_(m.bias, 0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.stages(self.stem(x)).mean([-2, -1])))


class MobileBlock(nn.Module):
    def __init__(self, width: int, out: int, expand: int, stride: int) -> None:
        super().__init__()
        hidden = width * expand
        self.same = stride == 1 and width == out
        self.layers = nn.Sequential(
            nn.Conv2d(width, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish(),
            nn.Conv2d(hidden, hidden, 5, stride, 2, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish(),
            nn.Conv2d(hidden, out, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.same else self.layers(x)


class MobileNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.Hardswish(),
            MobileBlock(16, 16, 3, 1), MobileBlock(16, 24, 3, 2), MobileBlock(24, 24, 3, 1),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Linear(24, 64), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.net(x).mean((2, 3)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def double(a: int, b: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(a, b, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(b, b, 3, padding=1),
                nn.ReLU(inplace=True),
            )

        self.d1, self.d2, self.mid = double(3, 16), double(16, 32), double(32, 64)
        self.u2, self.u1 = nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 4, 2, 1)
        self.c2, self.c1 = double(64, 32), double(32, 16)
        self.out = nn.Conv2d(16, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.d1(x)
        b = self.d2(F.max_pool2d(a, 2))
        m = self.mid(F.max_pool2d(b, 2))
        m = self.c2(torch.cat([b, self.u2(m)], 1))
        m = self.c1(torch.cat([a, self.u1(m)], 1))
        return self.out(m)


class ViT(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 8, 8)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos = nn.Parameter(torch.zeros(1, 17, width))
        nn.init.trunc_normal_(self.pos, std=0.02)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        self.blocks = nn.ModuleList()
        for _ in range(3):
            block = nn.Module()
            block.n1, block.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
            block.att = nn.MultiheadAttention(width, 4, batch_first=True)
            block.mlp = nn.Sequential(nn.Linear(width, 96), nn.GELU(), nn.Linear(96, width))
            block.ls = nn.Parameter(0.1 * torch.ones(width))
            self.blocks.append(block)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos
        for b in self.blocks:
            h = b.n1(x)
            x = x + b.ls * b.att(h, h, h, need_weights=False)[0]
            x = x + b.mlp(b.n2(x))
        return self.head(self.norm(x)[:, 0])


class WindowAttention(nn.Module):
    """Swin-like: windows, shifted, a relative table, a learnt logit scale with a clamp (cosine attention)."""

    def __init__(self, width: int = 32, heads: int = 4, window: int = 4) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        grid = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        rel = (grid[:, :, None] - grid[:, None]).permute(1, 2, 0) + window - 1
        self.register_buffer("relative_position_index", rel[..., 0] * (2 * window - 1) + rel[..., 1])
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.logit_scale = nn.Parameter(torch.log(10 * torch.ones(heads, 1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        attn = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        attn = attn * torch.clamp(self.logit_scale, max=4.6052).exp()
        table = self.relative_position_bias_table[self.relative_position_index.view(-1)].view(n, n, -1)
        attn = (attn + table.permute(2, 0, 1).unsqueeze(0)).softmax(-1)
        return self.proj((attn @ v).transpose(1, 2).reshape(b, n, c))


class Swin(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.att = nn.ModuleList(WindowAttention(width) for _ in range(2))
        self.n1 = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.n2 = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.mlp = nn.ModuleList(nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width)) for _ in range(2))
        self.merge = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm, self.head = nn.LayerNorm(2 * width), nn.Linear(2 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, 2, 3, 1)
        for i in range(2):
            h = torch.roll(x, (-2, -2), (1, 2)) if i else x
            b, hh, ww, c = h.shape
            w = h.view(b, hh // 4, 4, ww // 4, 4, c).transpose(2, 3).reshape(-1, 16, c)
            w = self.n1[i](self.att[i](w))  # post-norm of the branch, as in version 2
            h = w.view(b, hh // 4, ww // 4, 4, 4, c).transpose(2, 3).reshape(b, hh, ww, c)
            x = x + (torch.roll(h, (2, 2), (1, 2)) if i else h)
            x = x + self.n2[i](self.mlp[i](x))
        x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        return self.head(self.norm(self.merge(x)).mean((1, 2)))


class Mixer(nn.Module):
    def __init__(self, width: int = 48, rows: int = 16) -> None:
        super().__init__()
        self.embed = nn.Linear(192, width)
        self.blocks = nn.ModuleList()
        for _ in range(3):
            self.blocks.append(
                nn.ModuleDict(
                    {
                        "n1": nn.LayerNorm(width), "n2": nn.LayerNorm(width),
                        "t1": nn.Linear(rows, 32), "t2": nn.Linear(32, rows),
                        "c1": nn.Linear(width, 96), "c2": nn.Linear(96, width),
                    }
                )
            )  # fmt: skip
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        b = x.shape[0]
        x = x.reshape(b, 3, 4, 8, 4, 8).permute(0, 2, 4, 1, 3, 5).reshape(b, 16, 192)
        x = self.embed(x)
        for m in self.blocks:
            x = x + m["t2"](F.gelu(m["t1"](m["n1"](x).transpose(1, 2)))).transpose(1, 2)
            x = x + m["c2"](F.gelu(m["c1"](m["n2"](x))))
        return self.head(x.mean(1))


class SpatialGating(nn.Module):
    """gMLP: the spatial weight near zero and its bias one, by hand."""

    def __init__(self, width: int = 48, rows: int = 16) -> None:
        super().__init__()
        self.embed = nn.Linear(192, width)
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 128), nn.Linear(64, width)
        self.gate_norm = nn.LayerNorm(64)
        self.spatial = nn.Conv1d(rows, rows, 1)
        nn.init.uniform_(self.spatial.weight, -1e-3 / rows, 1e-3 / rows)
        nn.init.ones_(self.spatial.bias)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.reshape(x.shape[0], 16, 192))
        u, v = F.gelu(self.up(self.norm(x))).chunk(2, -1)
        x = x + self.down(u * self.spatial(self.gate_norm(v)))
        return self.head(x.mean(1))


class WSConv(nn.Conv2d):
    """Weight-standardised convolution with a learnt gain."""

    def __init__(self, *args: int, **kw: int) -> None:
        super().__init__(*args, **kw)
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight
        mean, var = w.mean((1, 2, 3), keepdim=True), w.var((1, 2, 3), keepdim=True)
        scale = torch.rsqrt(torch.clamp(var * w[0].numel(), min=1e-4)) * self.gain
        return F.conv2d(x, (w - mean) * scale, self.bias, self.stride, self.padding)


class NFNet(nn.Module):
    """Weight standardisation in place of normalisation, a skip gain at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = WSConv(3, 32, 3, padding=1)
        self.c1 = nn.ModuleList(WSConv(32, 32, 3, padding=1) for _ in range(3))
        self.c2 = nn.ModuleList(WSConv(32, 32, 3, padding=1) for _ in range(3))
        self.skip = nn.ParameterList([nn.Parameter(torch.zeros(())) for _ in range(3)])
        self.fc = nn.Linear(32, 10)
        nn.init.normal_(self.fc.weight, 0, 0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for c1, c2, skip in zip(self.c1, self.c2, self.skip, strict=True):
            h = c1(F.relu(x) * 1.7139588594436646)
            x = x + c2(F.relu(h) * 1.7139588594436646) * skip * 0.2
        return self.fc(F.relu(x).mean((2, 3)))


class Involution(nn.Module):
    """A kernel made from the input: unfold, and a product of signals."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 2, 1)
        self.reduce, self.bn, self.span = nn.Conv2d(width, 8, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 9 * 4, 1)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        b, c, h, w = x.shape
        kernel = self.span(F.relu(self.bn(self.reduce(x)))).view(b, 4, 1, 9, h, w)
        cut = F.unfold(x, 3, padding=1).view(b, 4, c // 4, 9, h, w)
        return self.head((kernel * cut).sum(3).view(b, c, h, w).mean((2, 3)))


class StochasticDepthMaxout(nn.Module):
    """Maxout units, one module run on two scales, max over a channel split, an average with a learnt power (GeM)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 3, padding=1)
        self.shared = nn.Conv2d(16, 32, 3, padding=1)
        self.p = nn.Parameter(torch.tensor(3.0))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        h = torch.max(h[:, :16], h[:, 16:])
        big = self.shared(h).unflatten(1, (16, 2)).amax(2)
        small = F.interpolate(self.shared(F.avg_pool2d(h, 2)).unflatten(1, (16, 2)).amax(2), scale_factor=2)
        pooled = (big + small).clamp(min=1e-6).pow(self.p).mean((2, 3)).pow(1.0 / self.p)
        return self.fc(pooled)


IMAGE = floats(4, 3, 32, 32)
CASES = [
    Case(
        "preact_se_resnet",
        PreActSEResNet,
        IMAGE,
        {"blocks.0.conv2.weight": (144, 144), "blocks.0.fc1.weight": (64, 8), "blocks.2.conv2.weight": (144, 144 / 4)},
        10,
    ),
    Case("densenet", DenseNet, IMAGE, {"layers.1.2.weight": (24 * 9, 8 * 9)}, 10),
    Case(
        "convnext",
        ConvNeXt,
        IMAGE,
        {"stages.0.dw.weight": (49, 49), "stem.0.weight": (48, 24)},
        10,
        {"stages.0.gamma": "Constant(value=1e-06)", "stages.0.grn.gamma": "Constant(value=0.0)"},
    ),
    Case("mobilenet", MobileNet, IMAGE, {"net.3.layers.3.weight": (25, 25), "net.4.layers.3.weight": (25, 25 / 4)}, 10),
    Case(
        "unet",
        UNet,
        IMAGE,
        {"u2.weight": (64, 32 * 4), "u1.weight": (32 * 4, 16 * 16), "c2.0.weight": (64 * 9, 32 * 9)},
    ),
    Case(
        "vit",
        ViT,
        IMAGE,
        {"blocks.0.att.in_proj_weight": (48, 48), "patch.weight": (192, 48)},
        10,
        {"head.weight": "Constant(value=0.0)"},
    ),
    Case("swin", Swin, IMAGE, {"att.0.qkv.weight": (32, 32)}, 10, {"att.0.logit_scale": "Constant(value=2.3025851)"}),
    Case("mixer", Mixer, IMAGE, {"blocks.0.t1.weight": (16, 32)}, 10),
    Case(
        "gmlp",
        SpatialGating,
        IMAGE,
        {"spatial.weight": (16, 16), "up.weight": (48, 64)},
        10,
        {"spatial.bias": "Constant(value=1.0)"},
    ),
    Case("nfnet", NFNet, IMAGE, {}, 10, {"skip.0": "Constant(value=0.0)", "stem.gain": "Constant(value=1.0)"}),
    Case("involution", Involution, IMAGE, {"span.weight": (8, 36)}, 10),
    Case("maxout_gem", StochasticDepthMaxout, IMAGE, {"shared.weight": (144, 288)}, 10, {"p": "Constant(value=3.0)"}),
]
