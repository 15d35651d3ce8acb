from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import acenv
from acenv.analysis.energy import energy, kl_divergence
from acenv.analysis.ranking import rank_agreement
from acenv.analysis.replay import BINS, Replay, replay
from acenv.analysis.spectrum import effective_rank
from acenv.policies import load_policy
from acenv.runs import Results
from acenv.types import Episode, Scorer, Step, TokenOutputs, Transcript

VOCABULARY, WIDTH = 50, 8


class BigramModel:
    """A real, tiny model: words are tokens, the hidden state is the previous word's embedding, logits are a product."""

    capacity = 1

    def __init__(self, name="dense", noise=0.0, vocabulary=VOCABULARY):
        rng = np.random.default_rng(0)
        self.name = name
        self.embedding = rng.standard_normal((VOCABULARY, WIDTH))
        self.head = rng.standard_normal((WIDTH, vocabulary))
        self.head += noise * np.random.default_rng(1).standard_normal(self.head.shape)

    def tokens(self, text):
        return [sum(word.encode()) % VOCABULARY for word in text.split()]

    def score(self, conversations, capture=("logits", "hidden")):
        for conversation in conversations:
            ids, turns, previous, last = [], [], [], 0
            for message in conversation.messages:
                for token in self.tokens(message["content"]):
                    if message["role"] == "assistant":
                        ids.append(token)
                        turns.append(0)
                        previous.append(last)
                    last = token
            hidden = self.embedding[previous].reshape(-1, WIDTH).astype(np.float32)
            logits = (hidden @ self.head).astype(np.float32)
            yield self.outputs(np.array(ids, dtype=np.int64), np.array(turns, dtype=np.int64), logits, hidden)

    def outputs(self, ids, turns, logits, hidden):
        return TokenOutputs(ids, turns, logits, hidden)


def transcript(env_id, seed, words=12):
    rng = np.random.default_rng(seed)
    answer = " ".join(f"w{n}" for n in rng.integers(1000, size=words))
    messages = [{"role": "user", "content": f"question {seed}"}, {"role": "assistant", "content": answer}]
    return Transcript(env_id, seed, messages, [], [Step(answer, 1.0)])


TRANSCRIPTS = [transcript("A", s) for s in range(3)] + [transcript("B", s, words=20) for s in range(2)]
DENSE, SMALL = BigramModel(), BigramModel("4 bit", noise=0.3)


def test_the_model_of_these_tests_is_a_scorer():
    assert isinstance(DENSE, Scorer)


def test_a_model_against_itself_does_not_differ():
    found = replay(TRANSCRIPTS, DENSE, DENSE)
    for episode in found.episodes:
        assert (episode.energy_shift, episode.kl, episode.top1_agreement) == (0.0, 0.0, 1.0)
        assert set(episode.jaccard.values()) == {1.0} == set(episode.kendall.values())
        assert episode.erank_logits[0] == episode.erank_logits[1]


def test_episodes_hold_what_the_analyzers_say():
    found = replay(TRANSCRIPTS, DENSE, SMALL)
    assert (found.base, found.compressed) == ("dense", "4 bit")
    assert [(e.env_id, e.seed) for e in found.episodes] == [(t.env_id, t.seed) for t in TRANSCRIPTS]
    conversations = [t.conversation for t in TRANSCRIPTS]
    both = zip(found.episodes, DENSE.score(conversations), SMALL.score(conversations), strict=True)
    for episode, base, compressed in both:
        assert episode.tokens == len(base.token_ids)
        assert episode.erank_logits == (effective_rank(base.logits), effective_rank(compressed.logits))
        assert episode.erank_hidden == (effective_rank(base.hidden), effective_rank(compressed.hidden))
        energies = energy(base.logits), energy(compressed.logits)
        assert episode.energy == pytest.approx((energies[0].mean(), energies[1].mean()))
        assert episode.energy_shift == pytest.approx(np.abs(energies[0] - energies[1]).mean())
        assert episode.kl == pytest.approx(kl_divergence(base.logits, compressed.logits).mean())
        for k, agreement in rank_agreement(base.logits, compressed.logits).items():
            assert episode.jaccard[k] == pytest.approx(agreement.jaccard.mean())
            assert episode.kendall[k] == pytest.approx(np.nanmean(agreement.kendall))
            assert episode.spearman[k] == pytest.approx(np.nanmean(agreement.spearman))


def test_more_damage_shows_in_every_measure():
    mild, strong = (replay(TRANSCRIPTS, DENSE, BigramModel("x", noise=n)).summary().overall for n in (0.05, 1.0))
    assert mild.kl < strong.kl
    assert mild.energy_shift < strong.energy_shift
    assert mild.top1_agreement > strong.top1_agreement
    for k in (3, 10, 20):
        assert mild.jaccard[k] > strong.jaccard[k]
        assert mild.kendall[k] > strong.kendall[k]
        assert mild.spearman[k] > strong.spearman[k]


def test_summary_weighs_episodes_and_then_environments_alike():
    found = replay(TRANSCRIPTS, DENSE, SMALL)
    summary = found.summary()
    a, b = summary.environments
    assert (a.env_id, a.episodes, b.env_id, b.episodes) == ("A", 3, "B", 2)
    assert (summary.overall.env_id, summary.overall.episodes, summary.overall.tokens) == ("overall", 5, 3 * 12 + 2 * 20)
    assert a.kl == pytest.approx(np.mean([e.kl for e in found.episodes[:3]]))
    assert summary.overall.kl == pytest.approx((a.kl + b.kl) / 2)
    entropies = [math.log(e.erank_logits[1]) for e in found.episodes[3:]]
    assert b.erank_logits[1] == pytest.approx(math.exp(np.mean(entropies)))


def test_histogram_counts_every_token_of_both_models():
    found = replay(TRANSCRIPTS, DENSE, SMALL)
    histogram = found.energy_histogram
    tokens = sum(e.tokens for e in found.episodes)
    assert len(histogram.edges) == BINS + 1
    assert sum(histogram.base) == sum(histogram.compressed) == tokens
    assert list(histogram.edges) == sorted(histogram.edges)


def test_results_are_replayed_without_their_errors():
    episodes = [Episode(t.env_id, t.seed, 1.0, 1, True, False) for t in TRANSCRIPTS]
    episodes[0] = replace(episodes[0], return_=math.nan, error="server gone")
    results = Results({}, episodes, {(t.env_id, t.seed): t for t in TRANSCRIPTS})
    assert len(replay(results, DENSE, SMALL).episodes) == len(TRANSCRIPTS) - 1


def test_limit_takes_environments_in_turn():
    found = replay(TRANSCRIPTS, DENSE, SMALL, limit=3)
    assert [(e.env_id, e.seed) for e in found.episodes] == [("A", 0), ("B", 0), ("A", 1)]
    counts = Counter(e.env_id for e in replay(iter(TRANSCRIPTS), DENSE, SMALL, limit=99).episodes)
    assert counts == {"A": 3, "B": 2}


def test_one_token_has_no_effective_rank_and_does_no_harm():
    found = replay([transcript("A", 0, words=1), transcript("A", 1)], DENSE, SMALL)
    assert math.isnan(found.episodes[0].erank_logits[0])
    assert found.summary().overall.erank_logits == pytest.approx(found.episodes[1].erank_logits)


def test_transcripts_without_an_answer_are_skipped_and_counted():
    silent = transcript("A", 9, words=0)
    found = replay([silent, *TRANSCRIPTS], DENSE, SMALL)
    assert (found.skipped, len(found.episodes)) == (1, len(TRANSCRIPTS))
    with pytest.raises(ValueError, match="no token of an answer"):
        replay([silent], DENSE, SMALL)


@pytest.mark.parametrize("transcripts", [TRANSCRIPTS, [transcript("A", 0, words=1)]])
def test_replays_survive_json(transcripts):
    found = replay(transcripts, DENSE, SMALL)
    text = json.dumps(found.to_dict(), allow_nan=False)
    again = Replay.from_dict(json.loads(text))
    assert repr(again) == repr(found)
    assert repr(again.summary()) == repr(found.summary())


def test_from_dict_refuses_other_data():
    with pytest.raises(ValueError, match="not a replay"):
        Replay.from_dict({"base": "a", "compressed": "b", "episodes": [{}]})


class OtherTokenizer(BigramModel):
    def tokens(self, text):
        return [ord(letter) % VOCABULARY for letter in text]


class Broken(BigramModel):
    def outputs(self, ids, turns, logits, hidden):
        return TokenOutputs(ids, turns, logits * np.float32(math.nan), hidden)


class WithoutHidden(BigramModel):
    def outputs(self, ids, turns, logits, hidden):
        return TokenOutputs(ids, turns, logits)


class Sleepy(BigramModel):
    def score(self, conversations, capture=("logits", "hidden")):
        yield from list(super().score(conversations, capture))[:-1]


class Silent:
    name = "oracle"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (OtherTokenizer("other"), "into different tokens .* same tokenizer"),
        (BigramModel("padded", vocabulary=64), r"shapes \(12, 50\) and \(12, 64\)"),
        (Broken("broken"), "logits of 'broken' on A seed 0 are not all finite"),
        (WithoutHidden("shy"), "hidden states of 'shy' on A seed 0 must have one row"),
        (Sleepy("sleepy"), "'sleepy' scored too few conversations: nothing came for B seed 1"),
        (Silent(), "'oracle' cannot be replayed: it has no score"),
    ],
)
def test_models_that_cannot_be_compared_are_refused_by_name(other, message):
    with pytest.raises(ValueError, match=message):
        replay(TRANSCRIPTS, DENSE, other)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="limit must be at least 1"):
        replay(TRANSCRIPTS, DENSE, SMALL, limit=0)
    with pytest.raises(ValueError, match="no transcript to replay"):
        replay([], DENSE, SMALL)


def test_tokens_are_told_apart_by_kind_and_add_up(tmp_path):
    policy = load_policy("nano", dtype="float32")
    other = load_policy("nano", dtype="bfloat16", name="other")
    results = acenv.evaluate(
        ["acenv/ToolSandbox-v0", "acenv/WorkflowFunctionCall-v0", "acenv/PDDL-v0"],
        policy,
        range(3),
        env_kwargs={"difficulty": "easy"},
    )
    found = replay(results, policy, other, tokens=tmp_path / "tokens.jsonl")
    kinds = {episode.env_id: set(episode.kinds) for episode in found.episodes}
    assert kinds["acenv/ToolSandbox-v0"] >= {"tool name", "argument", "syntax", "end"}
    assert kinds["acenv/WorkflowFunctionCall-v0"] >= {"node", "edge", "end"}
    assert kinds["acenv/PDDL-v0"] == {"tool name", "argument", "end"}
    for episode in found.episodes:
        assert sum(part.tokens for part in episode.kinds.values()) == episode.tokens
        assert sum(decision.tokens for decision in episode.decisions) == episode.tokens
        assert sum(part.kl * part.tokens for part in episode.kinds.values()) == pytest.approx(
            episode.kl * episode.tokens
        )
        flips = sum(decision.flips for decision in episode.decisions)
        assert flips == round((1 - episode.top1_agreement) * episode.tokens)
        assert len(episode.decisions) == len(results.transcript((episode.env_id, episode.seed)).steps)
    lines = [json.loads(line) for line in (tmp_path / "tokens.jsonl").read_text().splitlines()]
    assert [(line["env_id"], line["seed"]) for line in lines] == [(e.env_id, e.seed) for e in found.episodes]
    for line in lines:
        actions = [step.action for step in results.transcript((line["env_id"], line["seed"])).steps]
        for turn, action in zip(line["turns"], actions, strict=True):
            said = "".join(text for text, kind in zip(turn["tokens"], turn["kind"], strict=True) if kind != "end")
            assert said.strip() == action.strip()
            assert len(turn["tokens"]) == len(turn["kl"]) == len(turn["flip"])


def test_the_first_flip_of_a_decision_is_where_the_models_part():
    transcripts = [transcript("a", seed) for seed in range(4)]
    found = replay(transcripts, BigramModel(), BigramModel("bad", noise=3.0))
    decision = next(d for e in found.episodes for d in e.decisions if d.flips)
    assert 0 <= decision.first_flip < decision.tokens and decision.first_kind == "text"
    same = replay(transcripts, BigramModel(), BigramModel("same"))
    assert all(d.first_flip is None and d.flips == 0 and d.first_kind == "" for e in same.episodes for d in e.decisions)
    assert same.summary().overall.kinds["text"].flips == 0.0


def test_replays_of_earlier_versions_are_read():
    data = replay([transcript("a", 0)], BigramModel(), BigramModel("other", noise=0.1)).to_dict()
    for name in ("rbo", "kinds", "decisions"):
        del data["episodes"][0][name]
    (episode,) = Replay.from_dict(data).episodes
    assert math.isnan(episode.rbo) and episode.kinds == {} and episode.decisions == ()
