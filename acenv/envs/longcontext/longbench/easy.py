"""The 21 tasks of LongBench for models of a few million parameters: short, regular, and answered by copying."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from acenv.envs.base import pick
from acenv.envs.longcontext.longbench.drafts import Draft, capitalised, facts, filler, shuffled, things
from acenv.envs.longcontext.words import DID, NAMES, NOUNS, SURNAMES, WHAT, WHEN, WHO

READ = "Read the text, then answer with the value only."
ZH_PLACES = ("学校", "医院", "公园", "车站", "商店", "银行")
ZH_NAMES = ("小明", "小红", "小王", "小李")
ZH_NEWS = {"体育": ("球队赢了", "他跑步"), "天气": ("今天下雨", "明天有风"), "交通": ("火车晚点", "路上堵车")}


def easy_draft(task: str, rng: np.random.Generator) -> Draft:
    """An easy task of the kind named."""
    return _MAKERS[task](rng)


def _events(rng: np.random.Generator, count: int) -> list[tuple[str, str, str]]:
    """Who did what; all three differ between any two."""
    return list(
        zip(pick(rng, WHO, count), pick(rng, DID, count), pick(rng, WHAT, count), strict=True),
    )


def _narrativeqa(rng: np.random.Generator) -> Draft:
    events = _events(rng, 8)
    text = " ".join(f"{capitalised(who)} {did} {what} {pick(rng, WHEN)}." for who, did, what in events)
    who, did, what = pick(rng, events)
    return Draft(f"{READ}\n\n{text}\n\nWho {did} {what}?", (capitalised(who),))


def _qasper(rng: np.random.Generator) -> Draft:
    *stated, missing = facts(rng, 5)
    text = " ".join(shuffled(rng, [*map(str, stated), *filler(rng, 4)]))
    asked, answer = (missing, "unanswerable") if rng.random() < 0.2 else (stated[0], stated[0].value)
    rule = "If the text does not say it, answer unanswerable."
    return Draft(f"{READ} {rule}\n\n{text}\n\nWhat is the {asked.kind} of the {asked.thing}?", (answer,))


def _multifieldqa_en(rng: np.random.Generator) -> Draft:
    stated = facts(rng, 5)
    text = " ".join(shuffled(rng, [*map(str, stated), *filler(rng, 6)]))
    return Draft(f"{READ}\n\n{text}\n\nWhat is the {stated[0].kind} of the {stated[0].thing}?", (stated[0].value,))


def _passages(texts: list[str], name: str = "Passage") -> str:
    return "\n".join(f"{name} {i}: {text}" for i, text in enumerate(texts, 1))


def _hotpotqa(rng: np.random.Generator) -> Draft:
    stated = facts(rng, 4)
    text = _passages([f"{fact} {filler(rng, 1)[0]}" for fact in stated])
    asked = pick(rng, stated)
    return Draft(f"{READ}\n\n{text}\n\nWhich thing has the {asked.kind} {asked.value}?", (f"the {asked.thing}",))


def _owners(rng: np.random.Generator, count: int) -> list[str]:
    return [f"{n} {s}" for n, s in zip(pick(rng, NAMES, count), pick(rng, SURNAMES, count), strict=True)]


def _twowikimqa(rng: np.random.Generator) -> Draft:
    stated = facts(rng, 4)
    owners = _owners(rng, 4)
    text = _passages(
        [f"The {fact.thing} belongs to {owner}. {fact}" for fact, owner in zip(stated, owners, strict=True)]
    )
    i = int(rng.integers(4))
    question = f"What is the {stated[i].kind} of the thing that belongs to {owners[i]}?"
    return Draft(f"{READ}\n\n{text}\n\n{question}", (stated[i].value,))


def _musique(rng: np.random.Generator) -> Draft:
    stated = facts(rng, 3)
    owners = _owners(rng, 3)
    belongs = [f"The {fact.thing} belongs to {owner}." for fact, owner in zip(stated, owners, strict=True)]
    text = _passages([*shuffled(rng, belongs), *map(str, stated)])
    i = int(rng.integers(3))
    question = f"What is the {stated[i].kind} of the thing that belongs to {owners[i]}?"
    return Draft(f"{READ}\n\n{text}\n\n{question}", (stated[i].value,))


def _gov_report(rng: np.random.Generator) -> Draft:
    findings = list(map(str, facts(rng, 2)))
    parts = [f"{' '.join(filler(rng, int(rng.integers(1, 3))))}\nFinding: {finding}" for finding in findings]
    text = "\n".join(parts)
    return Draft(f"Read the report, then write the findings in order.\n\n{text}\n\nSummary:", (" ".join(findings),))


def _qmsum(rng: np.random.Generator) -> Draft:
    names = pick(rng, NAMES, 4)
    said = filler(rng, 4)
    text = "\n".join(f"{name}: {sentence}" for name, sentence in zip(names, said, strict=True))
    i = int(rng.integers(4))
    return Draft(
        f"Read the meeting, then answer with the words said.\n\n{text}\n\nWhat did {names[i]} say?", (said[i],)
    )


def _multi_news(rng: np.random.Generator) -> Draft:
    texts = [filler(rng, 2) for _ in range(3)]
    text = _passages([" ".join(t) for t in texts])
    return Draft(
        f"Read the news, then write the first sentence of each passage.\n\n{text}\n\nSummary:",
        (" ".join(t[0] for t in texts),),
    )


_TYPES = ("person", "thing", "place", "time")


def _question(kind: str, rng: np.random.Generator) -> str:
    who, did, what = pick(rng, WHO), pick(rng, DID), pick(rng, WHAT)
    return {
        "person": f"Who {did} {what}?",
        "thing": f"What is it that {who} {did}?",
        "place": f"Where is it that {who} {did} {what}?",
        "time": f"When is it that {who} {did} {what}?",
    }[kind]


def _trec(rng: np.random.Generator) -> Draft:
    shots = "".join(f"Question: {_question(kind, rng)}\nType: {kind}\n" for kind in shuffled(rng, _TYPES))
    kind = str(pick(rng, _TYPES))
    text = f"Say the type of the last question.\n\n{shots}Question: {_question(kind, rng)}\nType:"
    return Draft(text, (kind,), _TYPES)


def _triviaqa(rng: np.random.Generator) -> Draft:
    parts = []
    for _ in range(3):
        stated = facts(rng, 2)
        asked = pick(rng, stated)
        passage = f"Passage: {stated[0]} {stated[1]}\nQuestion: What is the {asked.kind} of the {asked.thing}?\nAnswer:"
        parts.append((passage, asked.value))
    text = "\n".join(f"{passage} {answer}" for passage, answer in parts[:-1])
    return Draft(f"Answer the last question.\n\n{text}\n{parts[-1][0]}", (parts[-1][1],))


def _samsum(rng: np.random.Generator) -> Draft:
    parts = []
    for _ in range(2):
        names, events = pick(rng, NAMES, 2), _events(rng, 2)
        talk = "\n".join(f"{name}: I {did} {what}." for name, (_, did, what) in zip(names, events, strict=True))
        told = " ".join(f"{name} {did} {what}." for name, (_, did, what) in zip(names, events, strict=True))
        parts.append((f"{talk}\nSummary:", told))
    return Draft(f"Write the last summary.\n\n{parts[0][0]} {parts[0][1]}\n\n{parts[1][0]}", (parts[1][1],))


def _passage_count(rng: np.random.Generator) -> Draft:
    different = int(rng.integers(1, 5))
    texts = filler(rng, different)
    texts += [str(pick(rng, texts)) for _ in range(int(rng.integers(5 - different)))]
    ask = "How many different paragraphs are there? Answer with the number only."
    return Draft(f"{_passages(shuffled(rng, texts), 'Paragraph')}\n\n{ask}", (str(different),))


def _passage_retrieval_en(rng: np.random.Generator) -> Draft:
    texts = [filler(rng, 2) for _ in range(4)]
    place = int(rng.integers(4))
    ask = f"Which paragraph says this? {pick(rng, texts[place])}"
    return Draft(f"{_passages([' '.join(t) for t in texts], 'Paragraph')}\n\n{ask}", (f"Paragraph {place + 1}",))


def _lcc(rng: np.random.Generator) -> Draft:
    names = pick(rng, NOUNS, 4)
    lines = [f"{name} = {int(rng.integers(10, 100))}" for name in names]
    known = int(rng.integers(1, 4))
    lines += [f"print({name})" for name in names[:known]]
    return Draft("Write the next line of code.\n\n" + "\n".join(lines) + "\n", (f"print({names[known]})",))


def _repobench(rng: np.random.Generator) -> Draft:
    thing = things(rng, 3)
    names = [f"{t.split()[0]}_{t.split()[1]}" for t in thing]
    files = "".join(f"file {name}.py\ndef open_{name}():\n    return {int(rng.integers(10, 100))}\n" for name in names)
    known = int(rng.integers(1, 3))
    main = "file main.py\n" + "".join(f"open_{name}()\n" for name in names[:known])
    return Draft(f"Write the next line of code.\n\n{files}{main}", (f"open_{names[known]}()",))


def _zh_people(rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
    return list(zip(pick(rng, ZH_NAMES, count), pick(rng, ZH_PLACES, count), strict=True))


def _multifieldqa_zh(rng: np.random.Generator) -> Draft:
    people = _zh_people(rng, 3)
    who, where = pick(rng, people)
    return Draft("".join(f"{n}在{p}。" for n, p in people) + f"\n{who}在哪？", (where,))


def _dureader(rng: np.random.Generator) -> Draft:
    people = _zh_people(rng, 3)
    who, where = pick(rng, people)
    return Draft("\n".join(f"{n}去{p}。" for n, p in people) + f"\n{who}去哪？", (f"{who}去{where}。",))


def _vcsum(rng: np.random.Generator) -> Draft:
    people = _zh_people(rng, 2)
    talk = "\n".join(f"{n}：我去{p}。" for n, p in people)
    return Draft(f"{talk}\n总结：", ("".join(f"{n}去{p}。" for n, p in people),))


def _lsht(rng: np.random.Generator) -> Draft:
    classes = shuffled(rng, tuple(ZH_NEWS))
    asked = str(pick(rng, classes))
    shots = "".join(f"{ZH_NEWS[c][0]}。{c}\n" for c in classes)
    return Draft(f"{shots}{ZH_NEWS[asked][int(rng.integers(2))]}。", (asked,), tuple(ZH_NEWS))


def _passage_retrieval_zh(rng: np.random.Generator) -> Draft:
    people = _zh_people(rng, 3)
    place = int(rng.integers(3))
    text = "\n".join(f"段落{i}：{n}在{p}。" for i, (n, p) in enumerate(people, 1))
    return Draft(f"{text}\n谁在{people[place][1]}？", (f"段落{place + 1}",))


_MAKERS: dict[str, Callable[[np.random.Generator], Draft]] = {
    "narrativeqa": _narrativeqa,
    "qasper": _qasper,
    "multifieldqa_en": _multifieldqa_en,
    "multifieldqa_zh": _multifieldqa_zh,
    "hotpotqa": _hotpotqa,
    "2wikimqa": _twowikimqa,
    "musique": _musique,
    "dureader": _dureader,
    "gov_report": _gov_report,
    "qmsum": _qmsum,
    "multi_news": _multi_news,
    "vcsum": _vcsum,
    "trec": _trec,
    "triviaqa": _triviaqa,
    "samsum": _samsum,
    "lsht": _lsht,
    "passage_count": _passage_count,
    "passage_retrieval_en": _passage_retrieval_en,
    "passage_retrieval_zh": _passage_retrieval_zh,
    "lcc": _lcc,
    "repobench-p": _repobench,
}
