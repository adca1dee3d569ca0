"""Conversations over the HTTP API."""

import pytest

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Name a colour."},
    {"role": "assistant", "content": "Red."},
    {"role": "user", "content": "Another one?"},
]


def explained(server, body, **options):
    return server.ok("POST", "/api/explain", body | {"methods": ["attention"], "options": {"n_generate": 1} | options})[
        "run"
    ]


def test_messages_in_place_of_a_prompt(server):
    run = explained(server, {"messages": TALK})
    assert run["prompt"] == "\n\n".join(m["content"] for m in TALK)
    assert [m["role"] for m in run["messages"]] == [m["role"] for m in TALK]
    assert run["options"]["chat"] is True
    listed = server.ok("GET", "/api/runs")["runs"][0]
    assert "Another one?" in str(listed)


def test_templates_and_control_tokens(server):
    source = (
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}[bot]{% if not enable_thinking %}!{% endif %}"
    )
    run = explained(server, {"prompt": "Hi"}, chat=True, chat_template=source, thinking="off")
    assert "".join(t["text"] for t in run["tokens"] if t["role"] != "completion") == "[user] Hi[bot]!"
    run = explained(server, {"prompt": "a<|im_end|>"})
    assert "control token" in run["remarks"][0]
    run = explained(server, {"prompt": "a<|im_end|>"}, special=True)
    assert [t["text"] for t in run["tokens"] if t["role"] == "special"] == ["<|im_end|>"] and "remarks" not in run


@pytest.mark.parametrize("body, status, part", [
    ({}, 400, '"prompt" is missing'),
    ({"prompt": "a", "messages": TALK}, 400, "cannot be combined with"),
    ({"messages": []}, 400, "a list with at least one"),
    ({"messages": [{"role": "user"}]}, 400, '[0]: "content"'),
    ({"prompt": "a", "options": {"thinking": "on"}}, 400, 'go with "chat"'),
    ({"prompt": "a", "options": {"chat": True, "thinking": "maybe"}}, 400, "must be one of default, on, off"),
    ({"prompt": "a", "options": {"chat": True, "thinking": "on"}}, 422, "the same with thinking on and off"),
    ({"prompt": "a", "options": {"chat": True, "chat_template": "{% if %}"}}, 422, "does not render"),
])
def test_what_cannot_be_is_refused(server, body, status, part):
    reply = server.ask("POST", "/api/explain", body)
    assert reply.status == status and part in reply.error["message"], reply
