"""docs/reference/openapi.yaml against the server: the same routes, the same fields, bounds and defaults, answers as it
says."""

import json
import os
import pathlib
import re
import subprocess

import pytest
import yaml

from conftest import PROMPT
from patience import HANG_S

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE = ROOT / "docs/reference/openapi.yaml"


@pytest.fixture(scope="module")
def api():
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def follow(api, node):
    while "$ref" in node:
        path = node["$ref"].removeprefix("#/").split("/")
        node = api
        for key in path:
            node = node[key]
    return node


def routes_of_program(program):
    text = subprocess.run(
        [program, "serve", "--routes"], capture_output=True, check=True, text=True, timeout=HANG_S
    ).stdout
    return {tuple(line.split(maxsplit=2)[:2]): line.split(maxsplit=2)[2] for line in text.splitlines()}


def operations(api):
    return {(method.upper(), path): node for path, methods in api["paths"].items() for method, node in methods.items()}


def test_routes_and_summaries_are_the_programs(api, program):
    assert {key: node["summary"] for key, node in operations(api).items()} == routes_of_program(program)


def test_path_parameters_are_declared(api):
    for (_, path), node in operations(api).items():
        declared = [follow(api, p)["name"] for p in node.get("parameters", []) if follow(api, p)["in"] == "path"]
        assert declared == [name for name in ("id", "model") if f"{{{name}}}" in path]


def test_bodies_are_declared_where_the_server_wants_them(api, server):
    for (method, path), node in operations(api).items():
        if path == "/api/events":
            continue  # its answer ends with the server
        reply = server.ask(method, path.replace("{id}", "999999"), b"", {"Content-Type": "text/plain"})
        wants = method in ("POST", "PATCH")
        assert ("requestBody" in node) == wants == (reply.status == 415), (method, path, reply.status)
        if wants:
            reply = server.ask(method, path.replace("{id}", "999999"), b"")
            assert node["requestBody"]["required"] == (reply.status == 400), (method, path)


def bodies(api):
    """(path, schema) of every object that a request of Headwater's own API can have."""
    for (_, path), node in operations(api).items():
        if "requestBody" in node and path.startswith("/api/"):
            yield path, follow(api, node["requestBody"]["content"]["application/json"]["schema"])


def ask(server, path, body):
    method = "PATCH" if path == "/api/runs/{id}" else "POST"
    return server.ask(method, path.replace("{id}", "999999"), body)


def whole(schema):
    """A body with what a schema requires."""
    values = {"prompt": "a", "name": "a", "methods": ["rollout"]}
    return {key: values[key] for key in schema.get("required", [])}


def declared(setting):
    """A row of the table of settings as a schema, in one line of YAML."""
    kind = {"flag": "boolean", "number": "number", "whole": "integer", "word": "string", "text": "string"}[
        setting["type"]
    ]
    schema = {"type": kind}
    if "words" in setting:
        schema["enum"] = setting["words"]
    if "min" in setting:
        schema |= {"minimum": setting["min"], "maximum": setting["max"]}
    if setting.get("below_max"):
        schema["exclusiveMaximum"] = True
    schema |= {
        key: setting[at] for key, at in (("minLength", "min_bytes"), ("maxLength", "max_bytes")) if at in setting
    }
    if setting["type"] != "text":
        schema["default"] = setting["default"]
    schema["description"] = setting["help"]
    return re.sub(r"\b(\d)e-", r"\1.0e-", json.dumps(schema, ensure_ascii=False))  # YAML 1.1 reads numbers with a point


def written(text, name, rows, refer):
    """The file's text with these rows in its blocks of that name, and how many blocks it has. `refer`: the deeper ones
    refer to the schemas of the outermost."""
    block = re.compile(rf"^( +)# {name}: begin.*\n(?:.*\n)*?\1# {name}: end\n", re.M)

    def write(match):
        indent, lines = match[1], match[0].splitlines(keepends=True)
        refs = refer and len(indent) > 4
        body = [
            f"{indent}{s['name']}: " + (f"{{$ref: '#/components/schemas/{s['name']}'}}" if refs else declared(s)) + "\n"
            for s in rows
        ]
        return lines[0] + "".join(body) + lines[-1]

    return block.subn(write, text)


def test_settings_and_options_are_written_from_the_tables(server):
    """The file's blocks about settings and options are those that the tables give; HEADWATER_UPDATE=1 writes them."""
    tables = server.ok("GET", "/api/methods")
    text = FILE.read_text(encoding="utf-8")
    wanted, settings = written(text, "settings", tables["settings"], True)
    wanted, options = written(wanted, "options", [o for o in tables["options"] if o["name"] != "fuse"], False)
    wanted, fuse = written(wanted, "fuse", [o for o in tables["options"] if o["name"] == "fuse"], False)
    assert (settings, options, fuse) == (5, 1, 1)
    if os.environ.get("HEADWATER_UPDATE"):
        FILE.write_text(wanted, encoding="utf-8")
    assert FILE.read_text(encoding="utf-8") == wanted


def test_no_fields_but_these(api, server):
    """What the server lists as fields, when it refuses an unknown one, is what the file declares."""
    count = 0
    for path, schema in bodies(api):
        for level in [None] + [k for k in ("options", "settings") if k in schema.get("properties", {})]:
            object = follow(api, schema["properties"][level]) if level else schema
            assert object["additionalProperties"] is False, path
            if not object.get("properties"):
                continue
            body = whole(schema) | ({level: {"nonsense": 1}} if level else {"nonsense": 1})
            message = ask(server, path, body).error["message"]
            listed = {word.strip('" ') for word in message.split("accepted: ")[1].split(",")}
            assert listed == set(object["properties"]), path
            count += 1
    assert count == 11


def test_bounds_are_those_of_the_server(api, server):
    """Each number just outside its bounds is refused for that; at them it is not (a run that is not there is then)."""
    count = 0
    for path, schema in bodies(api):
        for level in [None, "options", "settings"]:
            object = follow(api, schema.get("properties", {}).get(level, {})) if level else schema
            for key, field in object.get("properties", {}).items():
                field = follow(api, field)
                if "minimum" not in field:
                    continue
                step = 1 if field["type"] == "integer" else 1e-7
                excluded = field.get("exclusiveMaximum", False)
                for value, accepted in ((field["minimum"], True), (field["minimum"] - step, False),
                                        (field["maximum"], not excluded), (field["maximum"] + max(step, 1e-6), False)):
                    if accepted and path == "/api/explain":
                        continue  # would run the model
                    body = whole(schema) | ({level: {key: value}} if level else {key: value})
                    error = ask(server, path, body).error
                    assert error["code"] == ("not_found" if accepted else "bad_request"), (path, key, value, error)
                    count += 1
    assert count > 40


def test_words_are_those_of_the_server(api, server):
    for path, schema in bodies(api):
        settings = follow(api, schema.get("properties", {}).get("settings", {})).get("properties", {})
        for key, field in settings.items():
            field = follow(api, field)
            if "enum" not in field:
                continue
            message = ask(server, path, whole(schema) | {"settings": {key: "nonsense"}}).error["message"]
            for word in field["enum"]:
                assert word in message, (path, key, word)


def test_defaults_are_those_of_the_server(api, server):
    run = server.explain(n=1, methods=["rollout"])
    settings = follow(api, follow(api, api["components"]["schemas"]["explain"])["properties"]["settings"])["properties"]
    for key, field in settings.items():
        default = follow(api, field).get("default")
        if default is None:
            continue
        given = run["run"]["options"]["fuse"] if key == "fuse" else run["attributions"][0]["settings"].get(key, default)
        assert given == (str(default) if key == "seed" else default), key
    options = follow(api, api["components"]["schemas"]["explain"])["properties"]["options"]["properties"]
    body = {"prompt": "a", "completion": "b"}
    made = server.ok("POST", "/api/explain", body)["run"]["options"]
    for key, field in options.items():
        assert made.get(key, field.get("default")) == field.get("default") or key == "n_generate", key
    assert (
        len(server.ok("POST", "/api/explain", {"prompt": PROMPT, "methods": ["attention"]})["run"]["tokens"]) <= 8 + 32
    )


def check_shape(api, schema, value, where=""):
    schema = follow(api, schema)
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float)}
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), where
    for key in schema.get("required", []):
        assert key in value, f"{where}.{key}"
    for key, inner in schema.get("properties", {}).items():
        if key in value:
            check_shape(api, inner, value[key], f"{where}.{key}")
    if "enum" in schema:
        assert value in schema["enum"], where
    for i, entry in enumerate(value if "items" in schema else []):
        check_shape(api, schema["items"], entry, f"{where}[{i}]")


CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}


def test_answers_are_as_declared(api, server):
    run = server.explain("One is. Two is.", n=1, methods=["rollout"])
    sent = {"/api/explain": {"prompt": "a", "options": {"n_generate": 1}}, "/api/runs/{id}": {"name": "b"},
            "/api/runs/{id}/explain": {"methods": ["attention"]}, "/api/runs/{id}/check": {"ablations": 2},
            "/api/runs/{id}/cite": {}, "/api/runs/{id}/continue": {},
            "/v1/completions": {"prompt": "a", "max_tokens": 1}, "/v1/chat/completions": CHAT,
            "/v1/messages": CHAT, "/v2/chat": CHAT}
    order = sorted(operations(api).items(), key=lambda item: item[0][0] == "DELETE")
    for (method, path), node in order:
        if path in ("/", "/api/events", "/api/jobs/{id}/events", "/api/jobs/{id}/stop", "/api/runs/{id}/export",
                    "/api/runs/{id}/retry", "/metrics"):
            continue
        body = sent.get(path) if method in ("POST", "PATCH") else None
        reply = server.ok(method, path.replace("{id}", str(run["id"])).replace("{model}", "headwater"), body)
        check_shape(api, node["responses"]["200"]["content"]["application/json"]["schema"], reply, f"{method} {path}")
    error = operations(api)["GET", "/api/runs/{id}"]["responses"]["default"]
    schema = follow(api, error)["content"]["application/json"]["schema"]
    check_shape(api, schema, server.get("/api/runs/999999").json, "error")


def test_every_error_code_of_the_code_is_declared(api):
    declared = set(follow(api, api["components"]["responses"]["error"])["content"]["application/json"]["schema"]
                   ["properties"]["error"]["properties"]["code"]["enum"])
    rows = re.findall(
        r'\{(?:HW_)?ERR_\w+, \d{3}, "([a-z_]+)", STATUS_', (ROOT / "tools/headwater/cli/error_kinds.c").read_text()
    )
    assert set(rows) == declared and len(rows) > 20


def test_formats_are_those_of_the_export(api, server):
    parameter = [p for p in operations(api)["GET", "/api/runs/{id}/export"]["parameters"] if p.get("name") == "format"][
        0
    ]
    assert parameter["schema"]["enum"] == [f["name"] for f in server.ok("GET", "/api/methods")["formats"]]
