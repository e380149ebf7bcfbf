"""auto@0: each law from its context. The version stays 0 until the lab has judged it (docs/auto.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping

from wellbegun.authors import Authorship
from wellbegun.graph.graph import Graph, Operation, Use
from wellbegun.laws import Keep, LecunNormal, Normal, VarianceScaling, Zeros
from wellbegun.recipes import deep, recurrent, sines
from wellbegun.recipes.behind import SILENT, behind_activation
from wellbegun.recipes.chain import Chain, find_chains
from wellbegun.recipes.fixed import ZERO_BIAS, fixed_proposals
from wellbegun.recipes.goal import LOGITS, Goal, Place, Places
from wellbegun.recipes.held import element_second_moment
from wellbegun.recipes.layers import Layers
from wellbegun.recipes.lookup import Lookups
from wellbegun.recipes.origin import origin
from wellbegun.recipes.proposal import Proposal, as_proposal
from wellbegun.recipes.scores import score_size
from wellbegun.recipes.signal import Feed, Signal, Signals
from wellbegun.recipes.special import own_values, special_proposals
from wellbegun.recipes.streams import CARRIES

SHALLOW = 5
"""Hidden layers up to which all sound rules train equally well (pilot: 97 to 98% on digits at 5 layers)."""

LARGE_SCORES = 4.0
"""Second moment of attention scores from which the softmax picks single rows before anything is learnt."""

_SCORES = "Vaswani et al. (2017), section 3.2.1 (1/sqrt(d)); Raffel et al. (2020), whose T5 leaves it to the weights"
_STREAM = "Radford et al. (2019), section 2.3 (1/sqrt(N) for N residual layers)"
_FIXUP = "Zhang, Dauphin and Ma (2019), Fixup, section 3, without its scalars (wellbegun's pilot, section 3)"
_LAYER = "He et al. (2015), section 2.2, with E f² by quadrature"


class Auto:
    """Chooses each tensor's law from the operation that uses it and from what flows into that operation.

    >>> Auto().name
    'auto@0'

    Need: one choice for any network
    Domain: every trait
    Formula: Var(W) = target / (fan_in · E[x²]), with E[x²] the second moment of what really flows in: the data, a
        normalisation (1), or an activation f (E f(z)², by quadrature, for any f), a product of gates. In plain chains
        of more than 5 hidden layers: mirrored orthogonal weights where f(u) - f(-u) is linear (ReLU, GELU, SiLU), else
        orthogonal weights at a stable critical point, where E f'² · Var = 1 keeps the gradient and a small random bias
        keeps the signal; biases take the mean out of functions that have one, at any depth of two or more where it is
        most of them (sigmoid). Layers in front of sin(omega·x) have SIREN's laws. The N layers that write into a
        residual stream get target/N; residual branches without any normalisation start at zero. Outputs aim at 0.5, so
        that a loss starts within 0.3 of ln K.
    Use it for: any network whose forward pass can be traced; the reason stands beside each tensor of the plan. Values
        with a meaning of their own (state-space decay rates, tables of positions) are the author's, from the code
        that the model brings along; a tensor that neither accounts for is named in an error.
    Not for: reproducing a published recipe to the letter: name that recipe.
    Source: He et al. (2015), section 2.2; Schoenholz et al. (2017) and Pennington et al. (2017) on critical points;
        Balduzzi et al. (2017) and Burkholz and Dubatovka (2019) on mirrored weights; Zhang et al. (2019) on residual
        branches; Radford et al. (2019) on residual streams.
    """

    name = "auto@0"
    needs_author = False

    def propose(
        self,
        graph: Graph,
        known: Mapping[str, Authorship] | None = None,
        signals: MutableMapping[int, Signal] | None = None,
        ruled: Mapping[str, Proposal] | None = None,
    ) -> dict[str, Proposal]:
        """Return proposals for every tensor that the graph or the author's code accounts for.

        Args:
            graph: what the forward pass does.
            known: what the model's own code puts into its tensors, where that is known.
            signals: gets what is aimed at behind each operation, by its index.
            ruled: what the user's own rules put into tensors; the others are planned for the signals that they make.
        """
        planner = _Planner(graph, known or {}, ruled or {})
        if signals is not None:
            signals.update({operation.index: planner.signals[operation.index] for operation in graph.operations})
        return planner.proposals


class _Planner:
    """One walk through a graph in the order of execution."""

    def __init__(
        self,
        graph: Graph,
        known: Mapping[str, Authorship],
        ruled: Mapping[str, Proposal],
        usual: Mapping[str, Feed] | None = None,
    ) -> None:
        self.graph, self.known, self.ruled, self.usual = graph, known, ruled, usual or {}
        self.latest: dict[tuple[str, str], list[tuple[Operation, Feed]]] = {}
        self.proposals = fixed_proposals(graph, known)
        self.proposals |= recurrent.propose(graph)
        self.proposals |= special_proposals(graph, known)
        for name, uses in graph.uses.items():
            if uses and all(use.role == "bias" for use in uses):
                self.proposals[name] = own_values(graph, name, known) or ZERO_BIAS
        for name, use in graph.unused.items():
            if name not in self.proposals and (made := _unused(use)) is not None:
                self.proposals[name] = made
        self.proposals |= ruled
        self.layers, self.lookups = Layers(graph), Lookups(graph)
        self.places, self.signals = Places(graph), Signals(graph)
        self.chains = {operation.index: chain for chain in find_chains(graph) for operation in chain.operations}
        self.choices: dict[int, deep.Choice | None] = {}
        self.done: set[str] = set()
        for operation in graph.operations:
            self.signals.follow(operation, self._target(operation), self.proposals)
        repeated = {name: uses[-1][1] for (name, _), uses in self.latest.items() if self._changes(uses)}
        if usual is None and repeated:  # once more, with what the weights of loops are fed in the end
            again = _Planner(graph, known, ruled, repeated)
            self.proposals, self.signals = again.proposals, again.signals

    def _target(self, operation: Operation) -> float:
        """Decide the law of the operation's weight, and return the second moment that it is going to reach."""
        if not operation.weight:
            return 1.0
        if operation.kind == "embedding":
            return self._lookup(operation)
        feed = self.signals.feed(operation)
        self.latest.setdefault((operation.weight, _axes(self.graph, operation)), []).append((operation, feed))
        if operation.weight not in self.done:
            self.done.add(operation.weight)
            own = own_values(self.graph, operation.weight, self.known) or self._beside_own_bias(operation)
            ruled = self.ruled.get(operation.weight)
            if own is not None:
                self.proposals[operation.weight] = own
            elif self.layers.has_fans(operation) and self.layers.use(operation).role == recurrent.INPUTS:
                if not feed.doubt:  # the state of another layer has no size that theory knows
                    use = self.layers.use(operation)
                    how = "measured" if feed.measured else "assumed" if feed.kind == "input" else ""
                    self.proposals[operation.weight] = recurrent.inputs(use, feed.second_moment, how)
            elif self.layers.has_fans(operation) and (ruled or operation.weight not in self.proposals):
                chain = self.chains[operation.index]
                if not ruled and self._carries_state(operation, feed):
                    self.proposals[operation.weight] = recurrent.state_weight()
                    return self._reached(operation, feed, recurrent.state_weight())
                usual = self.usual.get(operation.weight) or _usual_feed(self.graph, chain, operation, feed)
                self._decide(operation, chain, usual)
            if ruled:  # what was decided beside it, such as biases that take a mean out, stays
                self.proposals[operation.weight] = ruled
        made = self.proposals.get(operation.weight)
        if made is None:  # the accounting names it
            return 1.0
        return self._reached(operation, feed, made)

    def _beside_own_bias(self, operation: Operation) -> Proposal | None:
        """The author's weight, where the author sets the bias of the layer by hand: they belong together."""
        author = self.known.get(operation.weight)
        if author is None or author.stands or isinstance(author.law, Keep):
            return None
        if not any(own_values(self.graph, name, self.known) for name in self.layers.biases(operation)):
            return None
        return as_proposal(author, "the weight beside a bias that the author sets by hand: the author's")

    def _changes(self, uses: list[tuple[Operation, Feed]]) -> bool:
        """Whether a weight is fed otherwise at the end of a loop than at its beginning."""
        (_, first), (operation, last) = uses[0], uses[-1]
        if len(uses) < 2 or math.isclose(first.second_moment, last.second_moment, rel_tol=0.05):
            return False
        return any(self.signals[index].roots & self.signals.looped for index in operation.inputs)

    def _carries_state(self, operation: Operation, feed: Feed) -> bool:
        """Whether a weight first meets the start of a loop's state, and then what it has made of it.

        The start is zero, or a parameter, and says nothing about the size that the state will have.
        """
        if feed.kind not in ("constant", "parameter"):
            return False
        uses = [use.operation for use in self.graph.uses[operation.weight]]
        return len(uses) > 1 and self.graph.depends(max(uses), operation.index)

    def _reached(self, operation: Operation, feed: Feed, made: Proposal) -> float:
        """Second moment behind one use of a weight, given its law; several uses may be fed differently."""
        if made.before and made.after is not None:
            return made.after * feed.second_moment / made.before
        fans = self.layers.fans(operation) if self.layers.has_fans(operation) else None
        size = element_second_moment(made, fans)
        if size is not None and fans is not None:
            return size * fans.fan_in * feed.second_moment
        return 1.0 if made.after is None else made.after

    def _decide(self, operation: Operation, chain: Chain, feed: Feed) -> None:
        place = self.places[operation.index]
        goal = self._goal(operation, feed, place)
        if goal.target == 0:
            reason = f"{origin(feed)}; {goal.purpose}"
            self.proposals[operation.weight] = Proposal(Zeros(), reason, goal.source, feed.second_moment, 0.0)
            return
        waves = sines.propose(self.layers, operation, feed)
        if waves:
            self.proposals |= {name: new for name, new in waves.items() if self._is_free(name, operation)}
            return
        mostly_mean = chain.depth > 1 and bool(chain.activation) and deep.is_mostly_mean(self.layers, chain)
        is_deep = chain.depth > SHALLOW or mostly_mean
        if is_deep:
            if operation.index not in self.choices:
                self.choices |= dict.fromkeys(
                    (member.index for member in chain.operations), deep.choose(self.layers, chain)
                )
            choice = self.choices[operation.index]
            if choice is not None:
                made = deep.propose(self.layers, operation, chain, feed, goal, choice)
                self.proposals |= {name: new for name, new in made.items() if self._is_free(name, operation)}
                return
        fans = self.layers.fans(operation)
        factor = self.layers.use(operation).factor ** 2
        variance = goal.target / (feed.second_moment * factor)
        cap = self._cap(operation)
        if cap is not None and cap < variance / fans.fan_in:
            reached = cap * fans.fan_in * feed.second_moment * factor
            reason = (
                f"{origin(feed)}; used a second time, where it may not make the signal grow: variance {cap:.4g} and "
                f"not the {variance / fans.fan_in:.4g} that this use alone would take"
            )
            self.proposals[operation.weight] = Proposal(
                Normal(math.sqrt(cap)), reason, _LAYER, feed.second_moment, reached
            )
            return
        spread = f"variance {goal.target:.4g}/({fans.fan_in:g}·{feed.second_moment:.4g})"
        if factor != 1:
            spread += f"/{factor:.4g}, as the forward pass multiplies the weight by {math.sqrt(factor):.4g},"
        reason = f"{origin(feed)}; {spread} {goal.purpose}"
        if is_deep:
            reason += f"; {deep.why_not(self.layers, chain)}"
        initializer = LecunNormal() if math.isclose(variance, 1.0) else VarianceScaling(variance)
        source = goal.source or _LAYER
        self.proposals[operation.weight] = Proposal(initializer, reason, source, feed.second_moment, goal.target)

    def _cap(self, operation: Operation) -> float | None:
        """Largest variance that a weight may have for its other uses: as an output layer, or the other way round."""
        if operation.index in self.layers.outputs:
            return None
        here, limits = self.layers.fans(operation), []
        for use in self.graph.uses[operation.weight]:
            if use.fans is None or use.operation == operation.index or use.role == "embedding weight":
                continue
            if use.operation in self.layers.outputs:
                limits.append(LOGITS / use.fans.fan_in)
            elif use.fans.fan_in != here.fan_in:  # read the other way round: that output must not grow either
                limits.append(1.0 / use.fans.fan_in)
        return min(limits, default=None)

    def _is_free(self, name: str, operation: Operation) -> bool:
        """Whether a deep rule may set this tensor: a bias to which the author gives values of its own keeps them."""
        if name in self.ruled:
            return False
        return name == operation.weight or own_values(self.graph, name, self.known) is None

    def _goal(self, operation: Operation, feed: Feed, place: Place | None) -> Goal:
        fans = self.layers.fans(operation)
        if operation.index in self.layers.outputs and fans.fan_out > 1:
            target = LOGITS / max(self.layers.outputs[operation.index], 1.0) ** 2
            doubtful = f"aims at a second moment of {target:.3g} for the outputs"
            sure = "starts the loss within 0.3 of ln K, if these are K logits"
            return Goal(target, doubtful if feed.doubt else sure, is_output=True)
        scores = score_size(self.graph, operation)
        if scores is not None and scores > LARGE_SCORES:
            purpose = (
                f"makes queries of {1 / scores:.3g}, so that attention scores, which nothing here divides by their "
                f"{scores:.3g} products, have a second moment of 1"
            )
            return Goal(1 / scores, purpose, _SCORES)
        if place is None:
            return Goal()
        count = place.stream.count
        if self.places.is_bare(place):
            return _bare(place, count)
        if place.is_writer and count > 1 and not self._is_gated(place):
            return self._write(operation, place, count)
        return Goal()

    def _write(self, operation: Operation, place: Place, count: int) -> Goal:
        """A write on a residual stream: together they double it, or outweigh tokens that are the output layer too."""
        start = place.stream.writes[0].operand
        begins = self.signals[start].second_moment
        more = self.lookups.outweighed(start, lambda index: self.signals[index].second_moment)
        written = begins * more if begins > SILENT else 1.0
        purpose = (
            f"lets {count} writes of {written / count:.3g} each take the residual stream from a second moment of "
            f"{begins:.3g} to {begins + written:.3g}"
        )
        if more > 1:
            purpose += ", enough to keep tokens from predicting themselves through the tied output layer"
        factor = self._factor_to(operation, place.write.add)
        if factor != 1:
            purpose += f"; the forward pass multiplies each by {factor:.4g}"
        return Goal(written / count / factor**2, purpose, _STREAM)

    def _factor_to(self, operation: Operation, add: int) -> float:
        """The plain factor on what a layer writes, before the sum."""
        factor, index = 1.0, operation.index
        while index != add:
            following = [step for step in self.graph.consumers(index) if step.kind in CARRIES or step.index == add]
            if not following:
                break
            factor *= following[0].factor if following[0].kind == "scale" else 1.0
            index = following[0].index
        return abs(factor) or 1.0

    def _is_gated(self, place: Place) -> bool:
        """Whether a learnt factor that starts small already shrinks what is written (LayerScale)."""
        laws = [self.proposals[name].initializer for name in place.write.gates if name in self.proposals]
        sizes = [law.law().reach() for law in laws if not law.needs_fans]
        return bool(sizes) and min(sizes) < 0.5

    def _lookup(self, operation: Operation) -> float:
        if operation.weight not in self.done:
            self.done.add(operation.weight)
            if operation.weight not in self.proposals:
                self.proposals[operation.weight] = self.lookups.propose(operation, self.known)
        made = self.proposals[operation.weight]
        size = element_second_moment(made) if made.after is None else made.after
        return 1.0 if size is None else size


def _unused(use: Use) -> Proposal | None:
    """A tensor that this forward pass does not use, by the type of its module."""
    aside = "not used in this forward pass, so planned by the type of its module"
    if use.role == "bias":
        return Proposal(Zeros(), f"{aside}: a bias of 0")
    if use.fans is None:
        return None
    if use.role == "embedding weight":
        return Proposal(Normal(1.0), f"{aside}: rows of second moment 1", "wellbegun's pilot (2026), section 4")
    return Proposal(LecunNormal(), f"{aside}: variance 1/{use.fans.fan_in:g} for an input of second moment 1", _LAYER)


def _bare(place: Place, count: int) -> Goal:
    """Residual branches without normalisation: the last weight 0, the others smaller the more branches there are."""
    if place.is_writer:
        purpose = f"0, so that {count} residual branches without normalisation start as the identity"
        return Goal(0.0, purpose, _FIXUP)
    steps = max(len(place.write.weights) - len(place.write.writers), 1)
    target = count ** (-1.0 / steps)
    purpose = (
        f"leaves a second moment of {target:.3g}, so that one step of learning moves the sum of {count} residual "
        "branches as far as that of one"
    )
    return Goal(target, purpose, _FIXUP)


def _usual_feed(graph: Graph, chain: Chain, operation: Operation, feed: Feed) -> Feed:
    """What a weight that stands several times in a chain is fed in the end: its own output through an activation."""
    if len(graph.uses[operation.weight]) == 1:
        return feed
    # a decoder that reads the encoder's weight the other way round is no loop
    same_way = {use.operation for use in graph.uses[operation.weight] if use.axes == _axes(graph, operation)}
    alike = [other.weight == operation.weight and other.index in same_way for other in chain.operations]
    places = [i for i, is_alike in enumerate(alike) if is_alike]
    activation = chain.activations[places[-1] - 1] if len(places) > 1 else ""
    if not activation:
        return feed
    return Feed("activation", activation, behind_activation(graph, activation, 1.0).second, False)


def _axes(graph: Graph, operation: Operation) -> str:
    return next((use.axes for use in graph.uses[operation.weight] if use.operation == operation.index), "")
