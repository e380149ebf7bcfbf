"""The presets by name and version, and how text such as "siren(omega_0=30)" becomes one."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.laws import Card
from wellbegun.recipes.presets.admin import Admin
from wellbegun.recipes.presets.analytic import GainBackward, GainForward
from wellbegun.recipes.presets.autoinit import AutoInit
from wellbegun.recipes.presets.blocks import Mitchell, SmallInit
from wellbegun.recipes.presets.branch_gates import LayerScale, SkipInit
from wellbegun.recipes.presets.completep import CompleteP
from wellbegun.recipes.presets.critical import Critical, MeanCompensated, StableCritical
from wellbegun.recipes.presets.deepnorm import DeepNorm
from wellbegun.recipes.presets.deepscale import DeepScaleLm
from wellbegun.recipes.presets.finer import Finer
from wellbegun.recipes.presets.fixup import Fixup
from wellbegun.recipes.presets.frameworks import Keras, TorchDefault
from wellbegun.recipes.presets.idinit import IdInit
from wellbegun.recipes.presets.looks_linear import LooksLinear
from wellbegun.recipes.presets.mamba import Mamba
from wellbegun.recipes.presets.memory import Chrono, ForgetBias, Irnn
from wellbegun.recipes.presets.mimetic import Mimetic
from wellbegun.recipes.presets.mup import Mup
from wellbegun.recipes.presets.ppo import Ppo
from wellbegun.recipes.presets.preset import Preset
from wellbegun.recipes.presets.prior import Prior
from wellbegun.recipes.presets.scaled_residual import ScaledResidual
from wellbegun.recipes.presets.selu import Selu
from wellbegun.recipes.presets.siren import Siren
from wellbegun.recipes.presets.siren_chi1 import SirenChi1
from wellbegun.recipes.presets.spectral import Spectral
from wellbegun.recipes.presets.sub_ln import SubLn
from wellbegun.recipes.presets.switch import Switch
from wellbegun.recipes.presets.t_fixup import TFixup
from wellbegun.recipes.presets.transformers import Bert, Gpt2, Llama, Vit
from wellbegun.recipes.presets.zero_residual import ZeroResidual

PRESETS: tuple[type[Preset], ...] = (
    TorchDefault,
    Keras,
    Gpt2,
    Llama,
    Bert,
    Vit,
    Ppo,
    Siren,
    ZeroResidual,
    ScaledResidual,
    Fixup,
    SkipInit,
    LayerScale,
    Mup,
    CompleteP,
    DeepNorm,
    SmallInit,
    Mitchell,
    GainForward,
    GainBackward,
    Critical,
    StableCritical,
    MeanCompensated,
    LooksLinear,
    Selu,
    AutoInit,
    IdInit,
    Irnn,
    ForgetBias,
    Chrono,
    Mamba,
    Finer,
    Switch,
    Prior,
    Spectral,
    TFixup,
    SubLn,
    Admin,
    Mimetic,
    SirenChi1,
    DeepScaleLm,
)
"""Every version of every preset, newest last among those of one name."""


def find_preset(text: str) -> Preset | None:
    """Return the preset that a text names, or None if it names none.

    >>> find_preset("gpt2").name, find_preset("gpt2@1(std=0.01)").name
    ('gpt2@1', 'gpt2@1(std=0.01)')

    Raises:
        UnknownNameError: a preset of that name exists, and not in that version.
        ArgumentError: the arguments cannot be read, or the preset does not take them.
    """
    head, bracket, rest = text.strip().partition("(")
    name, at, version = head.strip().lower().replace("-", "_").partition("@")
    kinds = [kind for kind in PRESETS if kind.name_only == name]
    if not kinds:
        return None
    chosen = [kind for kind in kinds if not at or version == str(kind.version)]
    if not chosen:
        raise UnknownNameError("recipe", head.strip(), [f"{kind.name_only}@{kind.version}" for kind in kinds])
    kind = chosen[-1]
    arguments = _arguments(text, rest) if bracket else {}
    try:
        inspect.signature(kind).bind(**arguments)
    except TypeError as error:
        allowed = ", ".join(map(str, inspect.signature(kind).parameters.values())) or "none"
        raise ArgumentError(f"{name}@{kind.version}: {error}; its arguments: {allowed}") from None
    made = kind(**arguments)
    made.arguments = arguments
    return made


def preset_cards() -> list[Card]:
    """Return the cards of all presets; their example is how they are asked for."""
    return [_card(kind) for kind in PRESETS]


def preset_card(name: str) -> Card | None:
    """Return the card of the preset of a name, with or without its version, or None."""
    wanted = re.sub(r"@\d+$", "", name.strip().lower().replace("-", "_"))
    return next((_card(kind) for kind in reversed(PRESETS) if kind.name_only == wanted), None)


def _card(kind: type[Preset]) -> Card:
    recipe = f"{kind.name_only}@{kind.version}{kind.code}"
    return Card.of(kind.name_only, kind, f'plan(model, seed=7, recipe="{recipe}")')


def _arguments(text: str, rest: str) -> dict[str, Any]:
    try:
        call = ast.parse(f"f({rest}", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError):
        raise ArgumentError(f"cannot read {text!r}; write for example siren(omega_0=30) or gpt2(std=0.01)") from None
