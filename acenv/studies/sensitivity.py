"""How much of the damage each layer causes, and which layers to keep within a budget.

A layer is exchanged in two ways. *Alone*: the compressed layer goes into the dense model; the KL divergence from the
dense model is the damage that it does by itself. *Kept*: the dense layer goes into the compressed model; the divergence
that goes away is what keeping it would regain, with all others compressed as they are. The two differ, because damages
add up or hide each other; a recipe needs the second.

Both models read the assistant's tokens of the same transcripts (teacher forcing). Layers are chosen on one half of the
transcripts, and what is kept is compared with other sets of the same cost on the other half.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from acenv.analysis.records import from_number, to_jsonable
from acenv.checkpoint import read_json
from acenv.compressors import MANIFEST, compress, parse
from acenv.compressors.checkpoint import Source, read_source, read_tensors, weight_files
from acenv.compressors.divergence import Reference
from acenv.compressors.job import check_method, layers_of
from acenv.compressors.layout import layout
from acenv.compressors.measure import layer_bytes
from acenv.policies import load_policy
from acenv.studies.exchange import Distance, Exchange, block_of, group, kind_of
from acenv.studies.recipe import choose, fill, keeping, outer_first, shortest_globs
from acenv.types import Transcript
from acenv.workers import Silent, Watcher

BUDGET = 0.1
"""Share of the compressed weights that a recipe keeps, where nothing else is asked for."""

RANDOM_SETS = 5
"""Sets of layers drawn at random, with which a recipe is compared."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A layer, or layers that are exchanged together.

    Attributes:
        name: The layer, the block or the kind.
        layers: Names of the modules.
        weights: Number of weights.
        extra_bytes: What keeping it adds to the files.
        alone: The dense model with this unit compressed.
        kept: The compressed model with this unit dense.
    """

    name: str
    layers: tuple[str, ...]
    weights: int
    extra_bytes: int
    alone: Distance
    kept: Distance


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which layers to keep.

    Attributes:
        method: The method string that does it; ``acenv compress`` takes it.
        keep: The kept units, in the order in which they were chosen.
        layers: The kept layers.
        bits: Bits of the kept layers; ``None`` for dense ones.
        share: Share of the compressed weights that is kept.
        extra_bytes: What that adds to the files.
        compressed: Distance of the model with nothing kept, on the transcripts on which sets are compared.
        distance: The same of the recipe.
        outer: The same of the first and last blocks, as far as the same budget goes.
        random: The same of sets drawn at random that fill the budget.
    """

    method: str
    keep: tuple[str, ...]
    layers: tuple[str, ...]
    bits: int | None
    share: float
    extra_bytes: int
    compressed: Distance
    distance: Distance
    outer: Distance
    random: tuple[Distance, ...]

    def sentence(self) -> str:
        """What it is worth, in words."""
        before = self.compressed.kl
        rate = 1 - self.distance.kl / before if before > 0 else 0.0
        random = sum(d.kl for d in self.random) / len(self.random)
        return (
            f"Keeping {len(self.layers)} layers ({self.share:.1%} of the compressed weights, "
            f"{self.extra_bytes / 1e6:.2f} MB) takes away {rate:.0%} of the divergence: KL {before:.4f} becomes "
            f"{self.distance.kl:.4f}. The first and last blocks would leave {self.outer.kl:.4f}, sets at random "
            f"{random:.4f} on average."
        )


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What each layer of a compressed model costs.

    Attributes:
        dense: The original checkpoint.
        compressed: The compressed one.
        method: Its method.
        by: What was exchanged at a time: ``"module"``, ``"block"`` or ``"kind"``.
        transcripts: Transcripts on which the units were measured.
        tokens: Their tokens.
        whole: Distance of the dense model with all units compressed.
        checkpoint: Distance of the compressed model as it is loaded; what is not in the units makes the difference.
        units: One by one.
        recipe: What to keep; ``None`` where the budget keeps nothing, or nothing helps.
    """

    dense: str
    compressed: str
    method: str
    by: str
    transcripts: int
    tokens: int
    whole: Distance
    checkpoint: Distance
    units: tuple[Unit, ...]
    recipe: Recipe | None

    def regained(self, unit: Unit) -> float:
        """Divergence in nats that goes away when a unit is kept."""
        return self.whole.kl - unit.kept.kl

    def table(self) -> dict[str, dict[str, float]]:
        """What keeping regains, by block and kind; a cell of several layers has their sum.

        Units by block have the kind ``"all"``, those by kind the block ``"all"``.
        """
        cells: dict[str, dict[str, float]] = {}
        for unit in self.units:
            row = cells.setdefault("all" if self.by == "kind" else block_of(unit.layers[0]), {})
            kind = "all" if self.by == "block" else kind_of(unit.layers[0])
            row[kind] = row.get(kind, 0.0) + self.regained(unit)
        return cells

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON: numbers that are ``nan`` become ``None``."""
        data: dict[str, Any] = to_jsonable(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sensitivity:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: The data do not describe a sensitivity.
        """
        try:
            units = tuple(
                Unit(**{**u, "layers": tuple(u["layers"]), "alone": _read(u["alone"]), "kept": _read(u["kept"])})
                for u in data["units"]
            )
            recipe = None
            if (kept := data["recipe"]) is not None:
                distances = {name: _read(kept[name]) for name in ("compressed", "distance", "outer")}
                names = {"keep": tuple(kept["keep"]), "layers": tuple(kept["layers"])}
                recipe = Recipe(**{**kept, **distances, **names, "random": tuple(map(_read, kept["random"]))})
            both = {name: _read(data[name]) for name in ("whole", "checkpoint")}
            return cls(**{**data, **both, "units": units, "recipe": recipe})
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"this is no sensitivity as to_dict() writes it: {error!r}") from error


def measure_sensitivity(
    dense: str | Path,
    compressed: str | Path,
    transcripts: Sequence[Transcript],
    *,
    by: str = "module",
    budget: float = BUDGET,
    extra_bytes: int | None = None,
    bits: int | None = None,
    calibration: Sequence[Any] = (),
    policy: Mapping[str, Any] | None = None,
    watcher: Watcher | None = None,
) -> Sensitivity:
    """Exchange the layers of a compressed model one by one, and say which to keep.

    Args:
        dense: Folder of the dense checkpoint.
        compressed: Folder of a checkpoint that acenv made of it, or a method string: it is compressed first.
        transcripts: What both models read, two at least: one half of each environment's to choose on, the other to
            compare on.
        by: Exchange each ``"module"``, or all of a ``"block"`` or of a ``"kind"`` (q_proj, down_proj, ...) at once.
        budget: Share of the compressed weights that may be kept, between 0 and 1; 0 for no recipe.
        extra_bytes: What keeping may add to the files, in place of ``budget``.
        bits: Store kept layers in so many bits, in place of keeping them dense. They are measured as if they were
            dense, to which 8 bits come close.
        calibration: Texts for a method string that needs some.
        policy: Options of both policies, such as ``{"dtype": "float32"}``.
        watcher: Is told about the progress.

    Raises:
        ValueError: Something asked for makes no sense, or the method moves scales between layers, so that a single one
            cannot be exchanged: then ``by`` has to be ``"block"``.
        CompressionError: A model with exchanged layers computes no finite numbers.
    """
    watcher = watcher or Silent()
    if not 0 <= budget < 1:
        raise ValueError(f"the budget is a share of the compressed weights, at least 0 and below 1, not {budget}")
    if extra_bytes is not None and extra_bytes < 0:
        raise ValueError(f"a budget in bytes is at least 0, not {extra_bytes}")
    if len(transcripts) < 2:
        raise ValueError(
            f"a sensitivity needs two transcripts at least, one to choose on and one to compare on, "
            f"not {len(transcripts)}"
        )
    source = read_source(dense)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(compressed)
        if not (folder / MANIFEST).exists():
            method = _method_of(compressed)
            done = watcher.stage(f"{method}: compressing")
            folder = compress(dense, method, Path(work) / "compressed", calibration)
            done()
        method = str(read_json(folder / MANIFEST)["method"])
        layers = list(dict.fromkeys(name for step in parse(method).passes for name in layers_of(source, step)))
        groups = group(layers, by)
        weights, extra = _costs(source, folder, method, layers, bits)
        options = dict(policy or {})
        done = watcher.stage("loading both models")
        exchange = Exchange(load_policy(f"hf:{dense}", **options), load_policy(f"hf:{folder}", **options), layers)
        done()
        if exchange.norms and by != "block":
            raise ValueError(
                f"{parse(method).slug} has changed {exchange.norms[0]} too: it moves scales between layers, so that a "
                "layer of one model does not fit into the other; exchange whole blocks (by block)"
            )
        halves = []
        for i, half in enumerate(_halves(transcripts)):
            (place := Path(work) / f"logits-{i}").mkdir()
            halves.append(exchange.record(half, place))
        whole = exchange.measure(halves[0], layers)
        checkpoint = exchange.measure_compressed(halves[0])
        done = watcher.stage(f"exchanging {len(groups)} {by}s", 2 * len(groups))
        units = []
        for name, members in groups.items():
            alone = exchange.measure(halves[0], members)
            done()
            kept = exchange.measure(halves[0], [n for n in layers if n not in members])
            done()
            counts = sum(weights[n] for n in members), sum(extra[n] for n in members)
            units.append(Unit(name, members, *counts, alone, kept))
        found = Sensitivity(
            dense=str(dense),
            compressed=str(compressed),
            method=method,
            by=by,
            transcripts=len(halves[0].texts),
            tokens=sum(map(len, halves[0].rows)),
            whole=whole,
            checkpoint=checkpoint,
            units=tuple(units),
            recipe=None,
        )
        done = watcher.stage("choosing what to keep")
        if extra_bytes is None:
            costs: dict[str, float] = {u.name: u.weights for u in units}
            limit = budget * sum(costs.values())
        else:
            costs = {u.name: max(u.extra_bytes, 1) for u in units}
            limit = extra_bytes
        recipe = _recommend(found, source, exchange, halves, costs, limit, bits)
        done()
        return replace(found, recipe=recipe)


def _recommend(
    found: Sensitivity,
    source: Source,
    exchange: Exchange,
    halves: Sequence[Reference],
    costs: Mapping[str, float],
    limit: float,
    bits: int | None,
) -> Recipe | None:
    layers = [name for unit in found.units for name in unit.layers]
    members = {unit.name: unit.layers for unit in found.units}

    def keeping_dense(half: Reference, names: Sequence[str]) -> Distance:
        kept = {layer for name in names for layer in members[name]}
        return exchange.measure(half, [layer for layer in layers if layer not in kept])

    regained = {unit.name: found.regained(unit) for unit in found.units}
    keep = choose(costs, limit, regained, lambda names: found.whole.kl - keeping_dense(halves[0], names).kl)
    if not keep:
        return None
    kept = [layer for name in keep for layer in members[name]]
    method = keeping(found.method, shortest_globs(kept, list(source.linears)), bits)
    check_method(source, parse(method))
    rng = np.random.default_rng(0)
    orders = [[list(members)[i] for i in rng.permutation(len(members))] for _ in range(RANDOM_SETS)]
    chosen = [unit for unit in found.units if unit.name in keep]
    return Recipe(
        method=method,
        keep=keep,
        layers=tuple(kept),
        bits=bits,
        share=sum(unit.weights for unit in chosen) / sum(unit.weights for unit in found.units),
        extra_bytes=sum(unit.extra_bytes for unit in chosen),
        compressed=keeping_dense(halves[1], ()),
        distance=keeping_dense(halves[1], keep),
        outer=keeping_dense(halves[1], fill(outer_first(members), costs, limit)),
        random=tuple(keeping_dense(halves[1], fill(order, costs, limit)) for order in orders),
    )


def _halves(transcripts: Sequence[Transcript]) -> tuple[list[Transcript], list[Transcript]]:
    """Every other transcript of each environment, so that both halves are of the same environments."""
    halves: tuple[list[Transcript], list[Transcript]] = ([], [])
    seen: dict[str, int] = {}
    for transcript in transcripts:
        # The environments take turns in which half has one more.
        place = seen.setdefault(transcript.env_id, len(seen))
        halves[place % 2].append(transcript)
        seen[transcript.env_id] += 1
    return halves


def _costs(
    source: Source, folder: Path, method: str, layers: Sequence[str], bits: int | None
) -> tuple[dict[str, int], dict[str, int]]:
    """Weights of each layer, and the bytes that keeping it adds to the files."""
    weights = {name: source.linears[name][0] * source.linears[name][1] for name in layers}
    stored = layer_bytes(read_tensors(weight_files(folder)), dict.fromkeys(layers))
    if bits is None:
        kept = {name: source.tensors[f"{name}.weight"].size for name in layers}
    else:
        last = parse(keeping(method, layers, bits)).passes[-1]
        kept = layer_bytes(layout(last.name, source, layers_of(source, last)), dict.fromkeys(layers))
    return weights, {name: kept[name] - stored[name] for name in layers}


def _method_of(text: str | Path) -> str:
    try:
        return str(parse(str(text)))
    except ValueError as error:
        raise ValueError(f"{text} is neither a checkpoint that acenv made nor a method string: {error}") from error


def _read(data: Mapping[str, Any]) -> Distance:
    return Distance(from_number(data["kl"]), from_number(data["flips"]))
