from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from acenv.analysis.attribution import Attribution, Deviation, Effort, EpisodeAttribution, Excluded


def attribution() -> Attribution:
    """Two environments; in one of them a tool name costs all, and another decision nothing."""
    path = (
        Deviation(1, "tool name", 60, "open", "oxen", 1.0, 0.5),
        Deviation(2, "argument", 130, "a é", "b \udc80", 0.0, float("nan"), 2),
    )
    lost = [EpisodeAttribution("acenv/A-v0", s, 1.0, 0.0, 3, 1, (20, 60, 130), path, path) for s in range(10)]
    kept = [EpisodeAttribution("acenv/B-v0", s, 0.5, 0.5, 2, None, (20, 400)) for s in range(10)]
    return Attribution("dense", "small", (*lost, *kept), (Excluded("acenv/B-v0", 11, "no answer"),), effort=Effort(9))


def test_each_environment_is_seen_by_itself() -> None:
    worst, other = attribution().by_environment()
    assert (worst.name, worst.decisions, worst.differing) == ("acenv/A-v0", 30, 20)
    assert worst.cost.estimate == worst.other_order.estimate == pytest.approx(1.0)
    assert worst.share.estimate == pytest.approx(1.0) and worst.cost.low > 0.3
    assert (other.cost.estimate, other.share.estimate, other.differing) == (0.0, 0.0, 0)
    assert attribution().loss().estimate == pytest.approx(0.5)
    alone = attribution().only("acenv/A-v0")
    assert len(alone.episodes) == 10 and not alone.excluded
    assert [g.cost.estimate for g in alone.by_kind()] == pytest.approx([1.0, 0.0])


def test_decisions_that_do_not_differ_are_counted() -> None:
    found = {g.name: (g.decisions, g.differing) for g in attribution().by_context()}
    assert found == {"0-63": (30, 10), "128-191": (10, 10), "384-511": (10, 0)}
    assert [g.decisions for g in attribution().by_step()] == [20, 20, 10]


def test_it_says_what_was_found() -> None:
    said = " ".join(attribution().sentences())
    assert "small leaves the path of dense in 10 of 20 episodes" in said
    assert "The largest part goes through tool names: 100%" in said
    assert "acenv/A-v0 loses most" in said
    assert "1 episodes are in no figure, the first because: no answer" in said


def test_it_survives_being_written() -> None:
    found = attribution()
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert repr(Attribution.from_dict(json.loads(text))) == repr(found)  # nan is not equal to itself
    summary = json.loads(text)["summary"]
    assert [g["name"] for g in summary["environments"]] == ["acenv/A-v0", "acenv/B-v0"]
    assert summary["kinds"][0]["name"] == "tool name" and summary["loss"]["estimate"] == pytest.approx(0.5)


def damaged() -> list[Any]:
    whole = json.loads(json.dumps(attribution().to_dict()))
    found: list[Any] = [{}, {**whole, "format": 2}, {**whole, "episodes": 3}, {**whole, "episodes": [[]]}, [], None]
    for keys, value in (
        (("path", 0, "kind"), "colour"),
        (("path", 0, "step"), "first"),
        (("path", 0, "share"), "much"),
        (("contexts",), [None]),
        (("base_return",), None),
        (("seed",), "x"),
        (("more",), 1),
    ):
        record = copy.deepcopy(whole)
        place = record["episodes"][0]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        found.append(record)
    return found


@pytest.mark.parametrize("record", damaged())
def test_damaged_records_are_refused(record: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        Attribution.from_dict(record)
