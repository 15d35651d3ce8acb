"""What people see in the terminal: tables, progress bars, and JSON where it is asked for."""

from __future__ import annotations

import io
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from acenv.analysis.dose import Sweep
from acenv.analysis.official import official_scores
from acenv.analysis.sequential import Stopping
from acenv.analysis.sweep_table import COLUMNS, row
from acenv.analysis.verdict import EXCUSES, bounds_text, judge, short_name, signed, standings
from acenv.runs import Results

if TYPE_CHECKING:
    from acenv.analysis.attribution import Attribution
    from acenv.analysis.comparison import Comparison
    from acenv.analysis.cost import Cost
    from acenv.analysis.internals import Replay
    from acenv.dry_run import Forecast

console = Console()
errors = Console(stderr=True)


class Bars:
    """Stages as progress bars, or as nothing."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def stage(self, title: str, total: int = 1) -> Callable[[], None]:
        """A new bar; gives what moves it on by one."""
        task = self._progress.add_task(title, total=total)
        return lambda: self._progress.advance(task)


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Bars]:
    """Progress bars on standard error, where they are in no pipe's way."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with _own_stderr() as stream, Progress(*columns, console=Console(file=stream), disable=quiet) as progress:
        yield Bars(progress)


def _own_stderr() -> TextIO:
    """Standard error by a descriptor of its own: compressors silence descriptor 2 while their engines chatter."""
    try:
        return os.fdopen(os.dup(2), "w")
    except OSError:  # It is closed, so nobody is watching.
        return io.StringIO()


def plain_text(content: str) -> Text:
    """A text without markup."""
    return Text(content)


def flat(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested objects, with dotted names."""
    for name, value in data.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def ask_human(stdin: Any) -> Callable[[Any], str]:
    """Show what is new, and take lines up to an empty one."""

    def ask(messages: Any) -> str:
        assistants = [i for i, m in enumerate(messages) if m["role"] == "assistant"]
        for message in messages[assistants[-1] + 1 if assistants else 0 :]:
            console.print(Panel(plain_text(message["content"]), title=message["role"], title_align="left"))
        console.print("your action (end with an empty line):", style="bold")
        lines = []
        for line in stdin:
            if not line.strip():
                break
            lines.append(line.rstrip("\n"))
        else:
            if not lines:
                raise EOFError("no more input")
        return "\n".join(lines)

    return ask


def print_json(data: Any) -> None:
    """JSON on standard output."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def print_results(results: Results) -> None:
    """Mean returns, and the numbers of the official scripts where the run has any."""
    table = Table("environment", "episodes", "mean return", "success", "errors")
    for env_id, mean in results.mean_returns().items():
        scored = [e for e in results.episodes if e.env_id == env_id and e.error is None]
        failed = sum(e.env_id == env_id for e in results.errors)
        success = sum(e.metrics.get("success", 0.0) for e in scored) / len(scored)
        table.add_row(env_id, str(len(scored)), f"{mean:.3f}", f"{success:.3f}", str(failed))
    console.print(table)
    # What is missing, and how many episodes went in, is for machines.
    official = {k: v for k, v in official_scores(results).items() if k not in ("T-Eval/missing", "episodes")}
    if official:
        table = Table("official score", "", "")
        for name, numbers in official.items():
            for number, value in numbers.items():
                table.add_row(name, number, f"{value:.4g}")
                name = ""
        console.print(table)


def print_comparisons(comparisons: Mapping[str, Comparison], noise: Mapping[str, Comparison] | None = None) -> None:
    """A table and a verdict for each candidate, with where each difference stands to the noise floors."""
    for name, comparison in comparisons.items():
        table = Table(
            title=f"{name} against {comparison.reference}", title_justify="left", box=box.SIMPLE, pad_edge=False
        )
        stands = standings(comparison, noise) if noise else {}
        for column in ("environment", "n", "returns", "difference [95%]", "kept", "p", *(["noise"] if noise else [])):
            table.add_column(column, no_wrap=True, justify="left" if column == "environment" else "right")
        for part in (*comparison.environments, comparison.overall):
            d = part.difference
            table.add_row(
                part.env_id.removeprefix("acenv/").rsplit("-v", 1)[0],
                str(part.episodes),
                f"{part.reference.estimate:.2f}>{part.candidate.estimate:.2f}",
                f"{d.estimate:+.3f} [{d.low:+.2f}, {d.high:+.2f}]",
                "-" if part.retention is None else f"{part.retention.estimate:.0%}",
                "<.001" if part.p_difference_adjusted < 0.001 else f"{part.p_difference_adjusted:.3f}",
                *([_standing(stands[part.env_id])] if noise else []),
                style="bold" if part is comparison.overall else None,
            )
        console.print(table)
        console.print(f"{name} {judge(name, comparison, noise).sentence}\n", highlight=False, markup=False)
    anytime = any(comparison.overall.anytime for comparison in comparisons.values())
    kept = "hold whenever one stops" if anytime else "exact where returns are 0 or 1"
    console.print(f"p: mean difference of 0, Holm-adjusted; intervals: paired, {kept}", style="dim")
    if noise:
        console.print(
            "noise: inside what the original differs from itself, outside what it can differ, or open", style="dim"
        )


def _standing(floors: Mapping[str, str]) -> str:
    """The word for all floors that excuse a difference: one that it is inside of is enough."""
    stands = {floors[changed] for changed in EXCUSES if changed in floors}
    return next((word for word in ("inside", "open", "outside") if word in stands), "-")


def print_floors(noise: Mapping[str, Comparison]) -> None:
    """How far the original is from itself."""
    for changed, floor in noise.items():
        overall = floor.overall
        console.print(
            f"noise floor, another {changed}: {signed(overall.difference.estimate)} {bounds_text(overall.difference)}, "
            f"{len(overall.lost)} lost and {len(overall.gained)} gained of {overall.episodes}",
            highlight=False,
            markup=False,
        )


def print_costs(costs: Mapping[str, Cost]) -> None:
    """What each model takes, and returns for it; columns of which nothing is known are left out."""
    columns: dict[str, Callable[[Cost], float | None]] = {
        "disk MB": lambda c: c.disk_mb,
        "memory MB": lambda c: c.memory_mb,
        "s/episode": lambda c: c.seconds,
        "J/episode": lambda c: c.joules,
        "per GB disk": lambda c: c.per_gb_on_disk,
        "per GB memory": lambda c: c.per_gb_in_memory,
        "per second": lambda c: c.per_second,
        "per joule": lambda c: c.per_joule,
    }
    known = {name: value for name, value in columns.items() if any(value(c) is not None for c in costs.values())}
    if not known:
        return
    table = Table(title="mean return, and what it costs", title_justify="left", box=box.SIMPLE, pad_edge=False)
    table.add_column("model", overflow="fold", min_width=12)
    for name in ("return", *known):
        table.add_column(name, justify="right")
    for model, cost in costs.items():
        values = (value(cost) for value in known.values())
        cells = ["-" if v is None else f"{v:.3g}" if v < 1000 else f"{v:,.0f}" for v in values]
        table.add_row(model, f"{cost.mean_return:.3f}", *cells)
    console.print(table)
    clocks = {c.clock for c in costs.values() if c.clock}
    notes = [f"seconds: {' or '.join(sorted(clocks))} time"] if clocks else []
    if "per joule" not in known:
        notes += sorted({f"no joules: {c.no_energy}" for c in costs.values() if c.no_energy})
    else:
        notes += sorted({f"joules: {c.energy_source}" for c in costs.values() if c.energy_source})
    console.print("; ".join(notes), style="dim", markup=False, highlight=False)


def print_stopping(stopping: Stopping) -> None:
    """How many episodes were not needed."""
    console.print(
        f"stopped at ±{stopping.until:g}: {stopping.saved:,} of {stopping.planned:,} episodes were not needed",
        highlight=False,
    )
    for name, by_env in stopping.episodes.items():
        counts = ", ".join(f"{short_name(env_id)} {count}" for env_id, count in by_env.items())
        console.print(f"  {name}: {counts} of {stopping.most}", style="dim", highlight=False)


def print_replays(replays: Mapping[str, Replay]) -> None:
    """A table for each compressed model: how far it is from the original, by kind of token."""
    for name, found in replays.items():
        overall = found.summary().overall
        title = f"{name} against {found.base}: {overall.episodes} transcripts, {overall.tokens:,} tokens"
        table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
        for column in ("kind of token", "tokens", "KL", "flips", "energy shift", "first flips"):
            table.add_column(column, justify="left" if column == "kind of token" else "right")
        parted = Counter(d.first_kind for e in found.episodes for d in e.decisions if d.first_kind)
        decisions = sum(len(e.decisions) for e in found.episodes)
        for kind, part in overall.kinds.items():
            first = f"{parted[kind]} ({parted[kind] / decisions:.1%})"
            table.add_row(
                kind, f"{part.tokens:,}", f"{part.kl:.4f}", f"{part.flips:.2%}", f"{part.energy_shift:.3f}", first
            )
        flips, parts = 1 - overall.top1_agreement, parted.total()
        first = f"{parts} of {decisions}"
        table.add_row(
            "all",
            f"{overall.tokens:,}",
            f"{overall.kl:.4f}",
            f"{flips:.2%}",
            f"{overall.energy_shift:.3f}",
            first,
            style="bold",
        )
        console.print(table)
        ranks = ", ".join(f"top-{k} overlap {value:.3f}" for k, value in overall.jaccard.items())
        pairs = (("logits", overall.erank_logits), ("hidden states", overall.erank_hidden))
        eranks = ", ".join(f"of {what} {a:.1f} > {b:.1f}" for what, (a, b) in pairs)
        console.print(f"{ranks}, RBO {overall.rbo:.3f}; effective rank {eranks}", highlight=False)
        if overall.erank_layers:
            console.print(f"effective rank behind layer {_layer_ranks(overall.erank_layers)}", highlight=False)
    console.print(
        "flips: tokens for which the compressed model has another favourite; first flips: actions whose first one is "
        "of this kind",
        style="dim",
    )


def _layer_ranks(layers: Sequence[tuple[float, float]], most: int = 8) -> str:
    """Effective ranks behind the first, the last, and evenly spaced layers between them, counted from 1."""
    last = len(layers) - 1
    shown = sorted({round(i * last / (most - 1)) for i in range(most)}) if last >= most else range(last + 1)
    return ", ".join(f"{i + 1}: {layers[i][0]:.1f} > {layers[i][1]:.1f}" for i in shown)


def print_attribution(found: Attribution) -> None:
    """What the decisions of a compressed model cost: by kind, environment, length of the conversation, and step."""
    for title, groups in (
        ("kind of decision", found.by_kind()),
        ("environment", found.by_environment()),
        (f"{found.unit} before it", found.by_context()),
        ("step", found.by_step()),
    ):
        if not groups or (title == "environment" and len(groups) < 2):
            continue
        table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
        for column in (title, "differ", "return lost", "95%", "share", "other", "alone"):
            table.add_column(column, no_wrap=True, justify="left" if column == title else "right")
        for group in groups:
            table.add_row(
                group.name.removeprefix("acenv/").removesuffix("-v0"),
                str(group.differing) if group.decisions is None else f"{group.differing}/{group.decisions}",
                f"{group.cost.estimate:.3f}",
                "" if math.isnan(group.cost.low) else f"[{group.cost.low:+.3f}, {group.cost.high:+.3f}]",
                "-" if math.isnan(group.share.estimate) else f"{group.share.estimate:.0%}",
                f"{group.other_order.estimate:.3f}",
                "-" if math.isnan(group.alone) else f"{group.alone:+.3f}",
            )
        console.print(table)
    for sentence in found.sentences():
        console.print(sentence, markup=False, highlight=False)
    console.print(
        "return lost: an episode, what the original could not win back after these decisions; other: the same, with "
        "the compressed model taking over from the original; alone: what one decision of the original in their place "
        "brings back, on average",
        style="dim",
    )


def print_forecast(forecast: Forecast, as_json: bool) -> None:
    """What a compression would take, and whether it fits."""
    needs = forecast.estimate
    if as_json:
        fits = {"fits_memory": forecast.fits_memory, "fits_disk": forecast.fits_disk}
        print_json({**asdict(forecast), **fits})
        return
    console.print(f"{forecast.method}, {forecast.calibration_tokens} calibration tokens", highlight=False)
    table = Table("would take", "about", "")
    low, high = needs.seconds / needs.factor, needs.seconds * needs.factor
    table.add_row("time", _duration(needs.seconds), f"between {_duration(low)} and {_duration(high)}")
    for name, needed, free, enough in (
        ("memory, at most", needs.memory_bytes, forecast.free_memory_bytes, forecast.fits_memory),
        ("disk, while at work", needs.work_bytes, forecast.free_disk_bytes, forecast.fits_disk),
    ):
        verdict = "fits" if enough else "does not fit"
        table.add_row(name, _size(needed), f"{_size(free)} free: {verdict}", style=None if enough else "bold red")
    table.add_row("disk, the result", _size(needs.disk_bytes), "weight files")
    table.add_row("bits a weight", f"{needs.bits_per_weight:.3f}", "stored, in the compressed layers")
    table.add_row("compressed", f"{needs.compressed_parameters:,}", f"{needs.kept_parameters:,} weights kept")
    console.print(table)


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def print_sweep(sweep: Sweep) -> None:
    """A table for each suite and difficulty: what was asked for, what is stored, and what is left of the return."""
    for suite, difficulty in sweep.places:
        mean, reach = sweep.returns[difficulty][suite], sweep.noise[difficulty][suite]
        title = f"{suite}, {difficulty}: the original returns {mean:.3f}, noise floor ±{reach:.3f}"
        table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
        table.add_column("version", overflow="fold", min_width=16)
        for column in ("bits", "zeros", "stored", "MB", "retained [95%]", "noise"):
            table.add_column(column, justify="right", no_wrap=True)
        for point in sweep.at(suite, difficulty):
            cells = dict(zip(("version", "method", *COLUMNS[1:]), row(point), strict=True))
            kept = point.retention
            retained = "-" if math.isnan(kept.estimate) else f"{kept.estimate:.0%}"
            if not math.isnan(kept.low):
                retained += f" [{kept.low:.0%}, {kept.high:.0%}]"
            asked = (cells["bits asked"], cells["zeros asked"])
            table.add_row(point.version, *asked, cells["bits"], cells["MB"], retained, cells["noise"])
        console.print(table)
    console.print(
        "bits, zeros: asked for; stored: measured bits a weight; noise: the original against itself", style="dim"
    )
