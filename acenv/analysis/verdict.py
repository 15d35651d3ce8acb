"""What the comparisons mean, in plain words: one sentence for each method, and the checkpoint to take.

The words follow fixed rules, so that the same figures always get the same verdict:

- *loses*: the overall difference is a fall, significant after correction over all methods;
- *mixed*: no loss overall, but a significant one in some environment, after correction over all methods and those;
- *close*: neither, and a loss of more than :data:`MARGIN` can be ruled out;
- *undecided*: neither, and the interval still allows such a loss; or a fall that the original shows against itself too.

Both families of tests are two-sided at 5%, and only falls count, so that the chance that any method of a comparison is
called *loses* or *mixed* although none loses anything is 2 * 2.5% = 5% at most, however many methods and environments
there are.

The noise floor is the original against itself, with another batch size, dtype or seed of sampling. It is known from few
episodes, and so a difference is *inside* it where the original was seen to move as much, *outside* where it is farther
than the interval of the floor reaches, and neither in between. A change of dtype is no noise in the sense of the other
two: it is itself a rounding of the computation, and to be inside it means to cost no more than a choice that many make
without a thought. It is told, and excuses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from acenv.analysis.comparison import OVERALL, Comparison, EnvComparison
from acenv.analysis.statistics import Interval

Kind = Literal["close", "mixed", "undecided", "loses"]

LEVEL = 0.05
"""Significance level of the adjusted p-values."""

EXCUSES = ("batch size", "sampling seed")
"""Noise floors inside of which a fall is no loss of the method's."""

Standing = Literal["inside", "open", "outside"]

MARGIN = 0.05
"""Loss of mean return, in [0, 1], that a close method must be shown not to exceed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on one method.

    Attributes:
        name: The method.
        kind: See the module.
        label: The kind in one or two words.
        sentence: Continues the method's name.
        loss: What it is sorted by: original's mean return - method's, over all environments.
        in_noise: Whether the original against itself moves as much (with another batch size or seed of sampling);
            ``None`` if that was not measured, or in too few episodes to tell.
        ruled_out: Larger losses of mean return, over all environments, can be ruled out; ``nan`` if none can.
        keeps: Environments in which a loss of more than :data:`MARGIN` can be ruled out.
        environments: How many were compared.
        floors: Where the difference stands to each noise floor, by its name.
    """

    name: str
    kind: Kind
    label: str
    sentence: str
    loss: float
    in_noise: bool | None
    ruled_out: float
    keeps: tuple[str, ...]
    environments: int
    floors: Mapping[str, Standing] = field(default_factory=dict)


def judge(name: str, comparison: Comparison, noise: Mapping[str, Comparison] | None = None) -> Verdict:
    """Put a comparison into words.

    Args:
        name: The method.
        comparison: Against the original.
        noise: The original against itself, by what was changed: "batch size", "dtype" or "sampling seed".
    """
    overall = comparison.overall
    worse = [e for e in comparison.environments if is_significant(e) and e.difference.estimate < 0]
    floors = {changed: standing(overall, floor.overall) for changed, floor in (noise or {}).items()}
    in_noise = _in_noise([s for changed, s in floors.items() if changed in EXCUSES])
    falls = is_significant(overall) and overall.difference.estimate < 0
    excluded = ruled_out(overall)
    where = _where(worse or comparison.environments)
    floor = _floor_text(floors, noise or {})
    kind: Kind
    if falls and not in_noise:
        kind, label = "loses", f"Loses {lost_share(overall)}"
        sentence = f"loses {lost_share(overall)} of the original's return ({difference_text(overall)}){where}.{floor}"
    elif falls:
        kind, label = "undecided", "Within noise"
        sentence = f"falls by {lost_share(overall)} ({difference_text(overall)}), as the original does too.{floor}"
    elif worse:
        names = ", ".join(short_name(e.env_id) for e in worse)
        kind, label = "mixed", f"Loses in {len(worse)} of {len(comparison.environments)}"
        sentence = (
            f"shows no clear loss overall ({difference_text(overall)}), but a significant one in {names}{where}.{floor}"
        )
    elif excluded <= MARGIN:
        kind, label = "close", "Close"
        limit = (
            "it scores above the original"
            if overall.difference.low >= 0.0005  # what is written as more than 0.000
            else "neither scores at all"
            if overall.reference.estimate == 0
            else f"a loss of more than {excluded:.3f} can be ruled out"
        )
        sentence = f"is close to the original: {difference_text(overall)}; {limit}.{floor}"
    else:
        kind, label = "undecided", "Undecided"
        allowed = (
            f"a loss of {excluded:.2f} is still possible"
            if math.isfinite(excluded)
            else "too few episodes for an interval"
        )
        sentence = f"shows no significant loss ({difference_text(overall)}), but {allowed}: run more episodes.{floor}"
    keeps = tuple(e.env_id for e in comparison.environments if e not in worse and ruled_out(e) <= MARGIN)
    return Verdict(
        name,
        kind,
        label,
        sentence,
        -overall.difference.estimate,
        in_noise,
        excluded,
        keeps,
        len(comparison.environments),
        floors,
    )


def standing(comparison: EnvComparison, noise: EnvComparison) -> Standing:
    """Where a difference stands to a noise floor.

    Args:
        comparison: A method against the original.
        noise: The original against itself.
    """
    size = abs(comparison.difference.estimate)
    if size <= abs(noise.difference.estimate) + 1e-12:
        return "inside"
    return "outside" if size > noise_reach(noise) else "open"


def standings(comparison: Comparison, noise: Mapping[str, Comparison]) -> dict[str, dict[str, Standing]]:
    """Where the differences stand to the noise floors: by environment (and ``"overall"``), and by floor.

    Args:
        comparison: A method against the original.
        noise: The original against itself, by what was changed.
    """
    found: dict[str, dict[str, Standing]] = {}
    for part in (*comparison.environments, comparison.overall):
        floors = {changed: environment(floor, part.env_id) for changed, floor in noise.items()}
        found[part.env_id] = {changed: standing(part, floor) for changed, floor in floors.items() if floor is not None}
    return found


def _in_noise(stands: Sequence[Standing]) -> bool | None:
    if "inside" in stands:
        return True
    return None if "open" in stands or not stands else False


def _floor_text(floors: Mapping[str, Standing], noise: Mapping[str, Comparison]) -> str:
    """A sentence that starts with a space, or nothing."""
    by_standing: dict[Standing, list[str]] = {"inside": [], "open": [], "outside": []}
    for changed, stands in floors.items():
        by_standing[stands].append(changed)
    parts = []
    if names := by_standing["inside"]:
        parts.append(f"inside the noise floor of {' and of '.join(names)}: the original differs as much from itself")
    if names := by_standing["outside"]:
        parts.append(f"outside the noise floor of {' and of '.join(names)}")
    if names := by_standing["open"]:
        known = ", ".join(f"±{noise_reach(noise[n].overall):.3f} from {noise[n].overall.episodes} pairs" for n in names)
        parts.append(f"farther than what was seen of the noise of {' and of '.join(names)}, which is known to {known}")
    return f" This is {'; and '.join(parts)}." if parts else ""


def ruled_out(comparison: EnvComparison) -> float:
    """The loss of mean return beyond which there is none: the lower end of the interval; ``nan`` if there is none.

    What scores nothing cannot lose anything.
    """
    if comparison.reference.estimate == 0:
        return 0.0
    return max(0.0, -comparison.difference.low) if not math.isnan(comparison.difference.low) else math.nan


def recommendation(verdicts: Sequence[Verdict], megabytes: Mapping[str, float], original: float | None) -> str:
    """What the report starts with: which model may be deployed as an agent, and for what.

    Only a method that is *close* is recommended as a whole. Where there is none, what is said is what would decide it,
    or the environments in which a method keeps the original's return.

    Args:
        verdicts: One for each method.
        megabytes: Sizes on disk, of the methods for which they are known.
        original: Size of the original on disk, if known.
    """
    if not verdicts:
        return "No compressed model was compared with the original."

    def smallest(fit: Sequence[Verdict]) -> Verdict:
        return min(fit, key=lambda v: (megabytes.get(v.name, math.inf), v.loss))

    def named(verdict: Verdict) -> str:
        if verdict.name not in megabytes:
            return f"{verdict.name} (its size on disk was not recorded)"
        size = megabytes[verdict.name]
        share = f", {size / original:.0%} of the original" if original else ""
        return f"{verdict.name} ({format_size(size)} MB{share})"

    if close := [v for v in verdicts if v.kind == "close"]:
        best = smallest(close)
        loses_nothing = f"a loss of more than {best.ruled_out:.3f} of the mean return is ruled out"
        return f"May be deployed for what was tested: {named(best)}. Over all environments {loses_nothing}."
    if undecided := [v for v in verdicts if v.kind == "undecided"]:
        best = smallest(undecided)
        allowed = (
            "there are too few episodes to say"
            if math.isnan(best.ruled_out)
            else f"a loss of {best.ruled_out:.3f} of the mean return is still possible"
        )
        return (
            f"Not decided yet. {named(best)} is the smallest that shows no significant loss, but {allowed}; "
            "run more episodes before it is deployed."
        )
    partly = [v for v in verdicts if v.keeps]
    if partly:
        best = min(partly, key=lambda v: (-len(v.keeps), megabytes.get(v.name, math.inf)))
        where = ", ".join(map(short_name, best.keeps))
        return (
            f"None may be deployed for everything: all {len(verdicts)} lose significantly somewhere. {named(best)} "
            f"keeps the original's return in {where}, and only there."
        )
    best = min(verdicts, key=lambda v: v.loss)
    if len(verdicts) == 1:
        return f"Do not deploy {best.name}: it does not keep the original's return."
    return f"Deploy none of them: all {len(verdicts)} lose significantly. {best.name} comes nearest."


def environment(comparison: Comparison, env_id: str) -> EnvComparison | None:
    """The part of a comparison that is about one environment (or ``"overall"``), if it was run."""
    if env_id == OVERALL:
        return comparison.overall
    return next((e for e in comparison.environments if e.env_id == env_id), None)


def is_significant(comparison: EnvComparison) -> bool:
    """Whether the test of the mean difference is significant after Holm's correction."""
    return comparison.p_difference_adjusted < LEVEL


def noise_reach(noise: EnvComparison) -> float:
    """How far the original may be from itself: its interval's bound that is farther from 0; ``nan`` without pairs."""
    bounds = (noise.difference.low, noise.difference.high, noise.difference.estimate)
    return max((abs(b) for b in bounds if not math.isnan(b)), default=math.nan)


def short_name(env_id: str) -> str:
    """An environment as people call it.

    >>> short_name("acenv/Needle-v0"), short_name("overall")
    ('Needle', 'Overall')
    """
    name = env_id.removeprefix("acenv/")
    stem, _, version = name.rpartition("-v")
    return "Overall" if env_id == OVERALL else stem if stem and version == "0" else name


def difference_text(comparison: EnvComparison) -> str:
    """Both means, the paired difference and its interval."""
    before, after = comparison.reference.estimate, comparison.candidate.estimate
    return f"mean return {before:.2f} to {after:.2f}, difference {interval_text(comparison.difference)}"


def interval_text(interval: Interval) -> str:
    """A signed estimate with its bounds.

    >>> interval_text(Interval(-0.02, -0.05, 0.01))
    '−0.020 [−0.050, +0.010]'
    """
    return f"{signed(interval.estimate)} {bounds_text(interval)}".strip()


def bounds_text(interval: Interval, *, sign: bool = True) -> str:
    """The bounds alone; nothing where there are none.

    >>> bounds_text(Interval(0.5, 0.25, 0.75), sign=False)
    '[0.250, 0.750]'
    """
    if math.isnan(interval.low):
        return ""
    low, high = (signed(bound) if sign else f"{bound:.3f}" for bound in (interval.low, interval.high))
    return f"[{low}, {high}]"


def signed(value: float) -> str:
    """Three digits, always with a sign, except a plain 0.

    >>> signed(-0.5), signed(0.25), signed(-0.0001)
    ('−0.500', '+0.250', '0.000')
    """
    if math.isnan(value):
        return "–"
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")


def lost_share(comparison: EnvComparison) -> str:
    """The part of the return that is gone, as a percentage; in points of return where the original scores 0."""
    if comparison.retention is None:
        return signed(comparison.difference.estimate)
    lost = (1 - comparison.retention.estimate) * 100
    return f"{lost:.1f}%" if abs(lost) < 9.95 else f"{lost:.0f}%"


def format_size(megabytes: float) -> str:
    """Megabytes with the digits that matter.

    >>> format_size(3.14159), format_size(14321.9)
    ('3.14', '14,322')
    """
    return f"{megabytes:.2f}" if megabytes < 10 else f"{megabytes:.1f}" if megabytes < 100 else f"{megabytes:,.0f}"


def _where(environments: Iterable[EnvComparison]) -> str:
    """The environment with the largest loss, unless there is only one or nothing was lost."""
    fallen = [e for e in environments if e.difference.estimate < 0]
    if not fallen:
        return ""
    worst = min(fallen, key=lambda e: e.difference.estimate)
    means = f"{worst.reference.estimate:.2f} to {worst.candidate.estimate:.2f}"
    return f", most of it in {short_name(worst.env_id)} ({means})"
