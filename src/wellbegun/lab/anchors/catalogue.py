"""Which anchors there are."""

from __future__ import annotations

from collections.abc import Mapping

from wellbegun.errors import UnknownNameError
from wellbegun.lab.anchors.anchor import Anchor
from wellbegun.lab.anchors.deepnorm import DEEPNORM
from wellbegun.lab.anchors.fixup import FIXUP_ANCHOR
from wellbegun.lab.anchors.fixup_resnet import FIXUP_RESNET
from wellbegun.lab.anchors.gelu_stable import GELU_STABLE
from wellbegun.lab.anchors.gradinit import GRADINIT
from wellbegun.lab.anchors.he_2015 import HE_2015
from wellbegun.lab.anchors.lsuv import LSUV_2016
from wellbegun.lab.anchors.metainit import METAINIT
from wellbegun.lab.anchors.mup import MUP
from wellbegun.lab.anchors.pennington_2017 import PENNINGTON_2017
from wellbegun.lab.anchors.router_and_prior import ROUTER_AND_PRIOR
from wellbegun.lab.anchors.schoenholz_2017 import SCHOENHOLZ_2017
from wellbegun.lab.anchors.siren import SIREN
from wellbegun.lab.anchors.xiao_2018 import XIAO_2018

ANCHORS: Mapping[str, Anchor] = {
    anchor.name: anchor
    for anchor in (
        HE_2015,
        PENNINGTON_2017,
        XIAO_2018,
        SCHOENHOLZ_2017,
        GELU_STABLE,
        LSUV_2016,
        FIXUP_ANCHOR,
        FIXUP_RESNET,
        DEEPNORM,
        MUP,
        SIREN,
        METAINIT,
        GRADINIT,
        ROUTER_AND_PRIOR,
    )
}


def find_anchor(name: str) -> Anchor:
    """Return an anchor by its name.

    >>> find_anchor("router_and_prior").methods
    ('switch', 'prior', 'prior_bias')

    Raises:
        UnknownNameError: no such anchor; the closest names are offered.
    """
    wanted = name.strip().lower().replace("-", "_")
    if wanted not in ANCHORS:
        raise UnknownNameError("anchor", name, ANCHORS)
    return ANCHORS[wanted]


def evidence_for(method: str) -> list[Anchor]:
    """Return the anchors that say something about a method.

    >>> [anchor.name for anchor in evidence_for("switch")]
    ['router_and_prior']
    """
    return [anchor for anchor in ANCHORS.values() if method in anchor.methods]
