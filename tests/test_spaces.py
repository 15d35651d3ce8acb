from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from acenv.spaces import Messages, Text


@given(st.text())
def test_text_takes_any_unicode(text: str) -> None:
    assert Text().contains(text)


def test_text_limits_length_and_type() -> None:
    space = Text(max_length=3)
    assert "abc" in space
    assert "abcd" not in space
    assert 3 not in space


def test_samples_belong_to_their_space_and_follow_the_seed() -> None:
    for make in (Text, Messages):
        first, second = make(seed=5), make(seed=5)
        samples = [first.sample() for _ in range(50)]
        assert all(sample in first for sample in samples)
        assert samples == [second.sample() for _ in range(50)]


def test_messages_need_role_and_content() -> None:
    space = Messages()
    assert [{"role": "user", "content": "é"}] in space
    assert [{"role": "user"}] not in space
    assert [{"role": "boss", "content": "x"}] not in space
    assert ({"role": "user", "content": "x"},) not in space
    assert [{"role": "user", "content": 3}] not in space


def test_spaces_compare_and_go_through_json() -> None:
    assert Text(5) == Text(5) != Text(6)
    assert Messages() == Messages() != Text()
    space = Messages(seed=1)
    samples = [space.sample() for _ in range(3)]
    assert space.from_jsonable(space.to_jsonable(samples)) == samples
