from __future__ import annotations

import pytest

from acenv.chat import Chat

TOOL = {
    "type": "function",
    "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}},
}
MESSAGES = [{"role": "system", "content": "Be good."}, {"role": "user", "content": "hi"}]
TALK = [*MESSAGES, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "more"}]

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITH_TOOLS = "{% if tools %}TOOLS {{ tools | tojson }}\n{% endif %}" + CHATML
REFUSES_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[model]{% endif %}"
)
DROPS_SYSTEM = (
    "{% for m in messages %}{% if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[model]{% endif %}"
)
ALTERNATES = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[model]{% endif %}"
)


def test_a_template_that_takes_everything_is_used_as_it_is(with_template):
    chat = Chat(with_template(WITH_TOOLS))
    assert chat.takes_tools
    assert chat.render(MESSAGES, [TOOL]).startswith('TOOLS [{"type": "function"')
    assert chat.render(MESSAGES) == (
        "<|im_start|>system\nBe good.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert chat.render(MESSAGES, add_generation_prompt=False).endswith("hi<|im_end|>\n")


def test_tools_go_into_the_system_message_where_the_template_ignores_them(with_template):
    chat = Chat(with_template(CHATML))
    assert not chat.takes_tools
    text = chat.render(MESSAGES, [TOOL, TOOL])
    line = '{"name":"add","description":"Adds.","parameters":{"type":"object","properties":{}}}\n' + 1 * (
        '{"name":"add","description":"Adds.","parameters":{"type":"object","properties":{}}}'
    )
    assert line in text
    assert text.startswith("<|im_start|>system\nBe good.\n\nYou can call tools.")
    assert text.count("<|im_start|>system") == 1
    without_system = chat.render(MESSAGES[1:], [TOOL])
    assert without_system.startswith("<|im_start|>system\nYou can call tools.")


@pytest.mark.parametrize("template", [REFUSES_SYSTEM, DROPS_SYSTEM, ALTERNATES])
def test_a_system_message_that_a_template_will_not_have_joins_the_users(with_template, template):
    chat = Chat(with_template(template))
    assert chat.render(TALK) == "[user]Be good.\n\nhi[assistant]yes[user]more[model]"
    tooled = chat.render(MESSAGES, [TOOL])
    assert tooled.startswith("[user]Be good.\n\nYou can call tools.") and tooled.endswith("\n\nhi[model]")
    assert chat.render(MESSAGES[1:], [TOOL]).startswith("[user]You can call tools.")


def test_neighbours_of_equal_role_are_merged_only_where_roles_must_alternate(with_template):
    twice = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert Chat(with_template(ALTERNATES)).render(twice) == "[user]a\n\nb[model]"
    assert Chat(with_template(DROPS_SYSTEM)).render(twice) == "[user]a[user]b[model]"


def test_tool_messages_become_the_users_where_the_template_refuses_them(with_template):
    talk = [MESSAGES[1], {"role": "assistant", "content": "call"}, {"role": "tool", "content": "result"}]
    assert Chat(with_template(ALTERNATES)).render(talk) == "[user]hi[assistant]call[user]result[model]"
    assert "<|im_start|>tool\nresult" in Chat(with_template(CHATML)).render(talk)


def test_later_system_messages_are_the_users(with_template):
    talk = [MESSAGES[1], {"role": "assistant", "content": "x"}, {"role": "system", "content": "note"}]
    assert "<|im_start|>user\nnote" in Chat(with_template(CHATML)).render(talk)


def test_without_a_template_the_conversation_is_plain_lines(with_template):
    chat = Chat(with_template(None))
    assert chat.render(TALK) == "system: Be good.\nuser: hi\nassistant: yes\nuser: more\nassistant:"
    assert '{"name":"add"' in chat.render(MESSAGES, [TOOL])


def test_rendering_does_not_change_the_messages(with_template):
    before = [m.copy() for m in TALK]
    Chat(with_template(ALTERNATES)).render(TALK, [TOOL])
    assert before == TALK


def test_a_template_that_fails_is_reported_with_its_reason(with_template):
    chat = Chat(with_template("{{ raise_exception('nothing pleases me') }}"))
    with pytest.raises(ValueError, match=r"cannot render a conversation of roles user.*nothing pleases me"):
        chat.render(MESSAGES[1:])
