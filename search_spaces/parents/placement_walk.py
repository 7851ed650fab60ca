"""All placements of a network with slots, each distinct prefix run once.

Two placements that agree in their first k slots share everything up to there. A
depth-first walk over the letters therefore runs every block once per distinct prefix,
and holds one feature map per slot. Any network will do whose slots follow one another:
it is cut into pieces between its slots, and whoever walks says which blocks the slots
may hold (a parent's and a library's, or all those of a supernet).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from search_spaces.parents.parent import replace_modules

Piece = Callable[[Tensor], Tensor]


class Pieces:
    """A network cut at its slots.

    Attributes:
        pieces: ``pieces[i]`` maps the output of slot i - 1 (for 0: the images) to the
            input of slot i; the last one gives the logits. ``None`` if the network
            cannot be cut: other tensors go around a slot, its forward pass depends on
            values, or (seen at the first walk) the pieces together are not the network,
            for example because it has hooks. The walk then runs every placement from
            its start.

    Args:
        model: The network, in eval mode; it shares its modules with the pieces.
        names: Module names of the slots in the order of the forward pass.
    """

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        self._model = model
        self._names = tuple(names)
        self.pieces = _cut(model, self._names)
        self._is_checked = False

    def walk(
        self,
        blocks: Sequence[Mapping[str, nn.Module]],
        placements: Sequence[str],
        images: Tensor,
    ) -> Iterator[tuple[int, Tensor]]:
        """Run placements on one batch; gradients are as the caller wants them.

        Args:
            blocks: For each slot, the block of every letter it may hold, in eval mode.
            placements: Letters of all slots, e.g. ``"CCMCCM"``.
            images: ``(batch, channels, height, width)``.

        Yields:
            Index of a placement and its logits ``(batch, classes)``; in the order of
            the walk, each index once.
        """
        members = sorted(range(len(placements)), key=lambda i: placements[i])
        self._check(images)
        if self.pieces is None:
            yield from self._one_by_one(blocks, placements, members, images)
            return
        # A network may work in place on its images, too.
        yield from self._descend(blocks, placements, members, images.clone(), 0)

    def _check(self, images: Tensor) -> None:
        """Give the pieces up if they do not do what the network does, bit for bit."""
        if self.pieces is None or self._is_checked:
            return
        self._is_checked = True
        with torch.no_grad():
            expected = self._model(images.clone())
            try:
                x = self.pieces[0](images.clone())
                for name, piece in zip(self._names, self.pieces[1:], strict=True):
                    x = piece(self._model.get_submodule(name)(x))
            except Exception:  # whatever a hook has done for them so far
                self.pieces = None
                return
        if not torch.equal(x.nan_to_num(), expected.nan_to_num()):
            self.pieces = None

    def _descend(
        self,
        blocks: Sequence[Mapping[str, nn.Module]],
        placements: Sequence[str],
        members: Sequence[int],
        x: Tensor,
        slot: int,
    ) -> Iterator[tuple[int, Tensor]]:
        assert self.pieces is not None
        x = self.pieces[slot](x)
        if slot == len(self._names):
            for index in members:
                yield index, x
            return
        groups: dict[str, list[int]] = {}
        for index in members:
            groups.setdefault(placements[index][slot], []).append(index)
        for letter, group in groups.items():
            # A user's block may work in place, and its siblings need the same input.
            out = blocks[slot][letter](x.clone() if len(groups) > 1 else x)
            yield from self._descend(blocks, placements, group, out, slot + 1)

    def _one_by_one(
        self,
        blocks: Sequence[Mapping[str, nn.Module]],
        placements: Sequence[str],
        members: Sequence[int],
        images: Tensor,
    ) -> Iterator[tuple[int, Tensor]]:
        own = {name: self._model.get_submodule(name) for name in self._names}
        try:
            for index in members:
                letters = zip(self._names, blocks, placements[index], strict=True)
                replace_modules(self._model, {n: b[c] for n, b, c in letters})
                yield index, self._model(images.clone())
        finally:
            replace_modules(self._model, own)


class _Tracer(fx.Tracer):
    """Looks only into modules that hold slots."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._slots = set(names)
        self._holders = {
            name.rsplit(".", depth)[0]
            for name in names
            for depth in range(1, name.count(".") + 1)
        }

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one step."""
        return module_qualified_name not in self._holders


def _cut(model: nn.Module, names: tuple[str, ...]) -> list[Piece] | None:
    try:
        graph = _Tracer(names).trace(model)
    except Exception:  # whatever a forward pass does with a stand-in for a tensor
        return None
    pieces: list[Piece] = []
    nodes = list(graph.nodes)
    inputs = [node for node in nodes if node.op == "placeholder"]
    used = [node for node in inputs if node.users]
    found = [n for n in nodes if n.op == "call_module" and n.target in set(names)]
    if len(used) != 1 or [node.target for node in found] != list(names):
        return None
    start = used[0]
    for end in [*found, nodes[-1]]:  # the last one is the output
        piece = fx.Graph()
        values: dict[fx.Node, fx.Node] = {start: piece.placeholder("x")}
        inside = nodes[nodes.index(start) + 1 : nodes.index(end)]
        for node in inside:
            if node.op == "placeholder":
                continue
            if any(one not in values for one in node.all_input_nodes):
                return None  # something goes around a slot
            values[node] = piece.node_copy(node, values.__getitem__)
        given = end.args[0]
        if not isinstance(given, fx.Node) or given not in values or end.kwargs:
            return None
        if len(end.args) != 1:
            return None
        piece.output(values[given])
        pieces.append(_module(model, piece))
        start = end
    return pieces


def _module(model: nn.Module, graph: fx.Graph) -> Any:
    return fx.GraphModule(model, graph).eval()
