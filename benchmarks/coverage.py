"""How often the intervals hold the truth, and how often a loss is claimed where there is none, on made-up runs.

python benchmarks/coverage.py --repetitions 400
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from acenv.analysis.simulation import FIGURES, WORLDS, tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--anytime", action="store_true", help="the intervals of --until-ci, which are slower")
    args = parser.parse_args()
    print("all eight kinds together;", args.repetitions, "repetitions; coverage of", ", ".join(FIGURES))
    for loss in (0.0, 0.15):
        worlds = {name: replace(world, loss=loss, keep=0.3) for name, world in WORLDS.items()}
        for episodes in (2, 5, 20, 80):
            found = tally(
                worlds, episodes, args.repetitions, seed=episodes, resamples=args.resamples, anytime=args.anytime
            )
            print(
                f"loss {loss:.0%}, {episodes} episodes: called a loss {found.accused / args.repetitions:.1%}, "
                f"width {found.width:.3f}, least coverage {found.least:.1%}"
            )
            for env_id, by_name in found.covered.items():
                shares = "  ".join(f"{by_name[name] / args.repetitions:6.1%}" for name in FIGURES)
                print(f"  {env_id:20}{shares}", flush=True)


if __name__ == "__main__":
    main()
