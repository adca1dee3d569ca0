"""Who may ask, and what: requests that must be refused, each with its reason."""

import contextlib
import socket
import time

import pytest

from conftest import PROMPT
from patience import HANG_S, until

SECRETS = ("/etc/passwd", "..%2f..%2fetc/passwd", "/../../etc/passwd")


def explain_with(server, **headers):
    return server.ask("POST", "/api/explain", {"prompt": "a", "options": {"n_generate": 1}}, headers)


# ---------------------------------------------------------------- who


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}", "evil.example", "127.0.0.1:{port}.evil.example", "localhost.:{port}",
        "0.0.0.0:{port}", "127.0.0.1.evil.example", "localhost:", "localhost:999999", "localhost:80x", "::1",
        "[::1]x", ""
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/status", "/api/runs"])
def test_other_hosts_are_refused(server, host, path):
    reply = server.get(path, Host=host.format(port=server.port))
    assert reply.status == 403 and reply.error["code"] == "bad_host"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_own_hosts_are_served_by_any_port(server, host):
    for port in (f":{server.port}", ":1", ":65535", ""):  # a tunnel has a port of its own
        assert server.get("/api/status", Host=host + port).status == 200
        assert server.get("/api/runs", Host=host + port, Origin=f"http://{host}{port}").status == 200


def test_allowed_hosts(serve):
    server = serve("--no-store", "--allow-host", "box.example")
    for host in ("box.example", "BOX.example:8443"):
        for scheme in ("http", "https"):
            assert server.get("/api/runs", Host=host, Origin=f"{scheme}://{host}").status == 200
    assert server.get("/api/runs", Host="other.example").error["code"] == "bad_host"
    assert server.get("/api/runs", Host="box.example", Origin="https://other.example").error["code"] == "bad_origin"
    assert server.get("/api/runs", Host="localhost", Origin="https://localhost").error["code"] == "bad_origin"


def test_slow_clients_lock_nobody_out(serve):
    """Connections that send a byte now and then are not idle, but they have to be done by a time."""
    server = serve("--no-store")
    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(64)]
    for s in slow:
        s.sendall(b"GET /api/status HTTP/1.1\r\nX: ")
    began = time.monotonic()
    while time.monotonic() - began < 60:
        for s in slow:
            try:
                s.sendall(b"a")
            except OSError:
                pass
        try:
            if server.get("/api/status").status == 200:
                break
        except OSError:
            time.sleep(2)
    else:
        pytest.fail("nobody else was served for a minute")
    for s in slow:
        s.close()


def test_a_run_that_is_being_made_is_not_deleted(server):
    events = server.stream("/api/explain", {"prompt": "Once upon a time there was", "options": {"n_generate": 200}})
    events.until("token")
    run = server.ok("GET", "/api/runs")["runs"][0]
    assert not run["finished"]
    reply = server.ask("DELETE", f"/api/runs/{run['id']}")
    assert (reply.status, reply.error["code"]) == (409, "unfinished")
    events.close()
    server.idle()
    assert server.ok("DELETE", f"/api/runs/{run['id']}") == {"id": run["id"]}


def test_two_hosts_or_none_are_refused(server):
    own = f"Host: 127.0.0.1:{server.port}\r\n"
    for headers in (own + "Host: evil.example\r\n", own + own, ""):
        out = server.raw(f"GET /api/runs HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode())
        assert out.split(b" ")[1] in (b"400", b"403"), out[:100]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1", "",
                                    "http://127.0.0.1:{port}.evil.example", "http://localhost:{port}"])
def test_other_origins_are_refused(server, origin):
    origin = origin.format(port=server.port)
    for method, path in (("POST", "/api/explain"), ("GET", "/api/runs"), ("DELETE", "/api/runs/1")):
        body = {"prompt": "a"} if method == "POST" else None
        reply = server.ask(method, path, body, {"Origin": origin})
        assert reply.status == 403 and reply.error["code"] == "bad_origin", (method, path)


def test_the_own_origin_is_served(server):
    own = f"127.0.0.1:{server.port}"
    assert explain_with(server, Origin=f"http://{own}").status == 200
    assert (
        server.get("/api/runs", Origin=f"http://localhost:{server.port}", Host=f"localhost:{server.port}").status == 200
    )


def test_requests_that_a_browser_says_come_from_elsewhere_are_refused(server):
    for site in ("cross-site", "same-site"):
        assert server.get("/api/runs", **{"Sec-Fetch-Site": site}).error["code"] == "bad_origin"
        assert server.get("/", **{"Sec-Fetch-Site": site}).status == 200  # a link to the page
    for site in ("same-origin", "none"):
        assert server.get("/api/runs", **{"Sec-Fetch-Site": site}).status == 200


def test_no_other_site_may_read(server):
    for reply in (server.get("/api/status"), server.get("/"), server.get("/nothing"),
                  server.ask("OPTIONS", "/api/explain", headers={"Origin": f"http://127.0.0.1:{server.port}",
                                                                 "Access-Control-Request-Method": "POST"})):
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert reply.headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]


def test_only_this_machine_is_listened_to(server):
    """On 127.0.0.1 alone: not on this machine's other addresses, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # sends nothing, only finds the address that would be used
            outside = s.getsockname()[0]
        except OSError:
            outside = "127.0.0.2"
    for address in {outside, "127.0.0.2"} - {"127.0.0.1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, server.port), timeout=2).close()


# ---------------------------------------------------------------- how

@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                                  "application/jsonp", "text/json", ""])
def test_bodies_must_be_json(server, kind):
    for method, path in (("POST", "/api/explain"), ("PATCH", "/api/runs/1"), ("POST", "/api/jobs/1/stop")):
        reply = server.ask(method, path, b'{"prompt": "a", "name": "b"}', {"Content-Type": kind})
        assert reply.status == 415 and reply.error["code"] == "unsupported_media_type"


def test_a_charset_is_no_other_type(server):
    assert explain_with(server, **{"Content-Type": "application/json; charset=utf-8"}).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"a"',
        b"null",
        b'{"prompt": "a"} x',
        b'{"prompt": "a", "prompt": "b"}',
        b'{"prompt": "\xff"}',
        b"{'prompt': 'a'}",
        b'{"prompt": NaN}',
        b"[" * 100000,
        b'{"prompt": "a", "options": {"seed": 99999999999999999999}}',
    ],
)
def test_bad_json(server, body):
    reply = server.ask("POST", "/api/explain", body)
    assert reply.status == 400 and reply.error["code"] == "bad_json", reply.body


FIELDS = [
    ({}, '"prompt" is missing'),
    ({"prompt": ""}, '"prompt" is empty'),
    ({"prompt": 1}, '"prompt" must be a string'),
    ({"prompt": "a", "file": "/etc/passwd"}, '"file" is not a field of the request'),
    ({"prompt": "a", "model": "/etc/passwd"}, '"model" is not a field of the request'),
    ({"prompt": "a", "options": []}, '"options" must be an object'),
    ({"prompt": "a", "options": {"n": 1}}, '"n" is not a field of options; accepted: "n_generate"'),
    ({"prompt": "a", "options": {"n_generate": 0}}, '"n_generate" is 0: must be a whole number from 1 to 1000000'),
    ({"prompt": "a", "options": {"n_generate": 1.5}}, '"n_generate" is 1.5: must be a whole number'),
    ({"prompt": "a", "options": {"n_generate": True}}, '"n_generate" must be a whole number'),
    ({"prompt": "a", "options": {"n_generate": 1000001}}, '"n_generate" is 1000001'),
    ({"prompt": "a", "options": {"temperature": -1}}, '"temperature" is -1: must be a number from 0 to 100'),
    ({"prompt": "a", "options": {"temperature": 1e300}}, '"temperature" is 1e+300'),
    ({"prompt": "a", "options": {"top_p": 0}}, '"top_p" is 0'),
    ({"prompt": "a", "options": {"top_k": -1}}, '"top_k" is -1'),
    ({"prompt": "a", "options": {"seed": -1}}, '"seed" is -1'),
    ({"prompt": "a", "options": {"chat": 1}}, '"chat" must be true or false'),
    ({"prompt": "a", "methods": []}, '"methods" must be a list of 1 to 16 names'),
    ({"prompt": "a", "methods": "rollout"}, '"methods" must be a list'),
    ({"prompt": "a", "methods": ["rolout"]}, 'method "rolout": unknown name, did you mean rollout?; accepted: rollout'),
    ({"prompt": "a", "methods": ["rollout", "rollout"]}, "names rollout twice"),
    ({"prompt": "a", "methods": ["a\0b"]}, "without NUL"),
    ({"prompt": "a", "methods": [None]}, '"methods" must be a string'),
    ({"prompt": "a", "settings": {"row": "mine"}}, '"row" must be one of predictor, own'),
    ({"prompt": "a", "settings": {"residual": 2}}, '"residual" is 2: must be a number from 0 to 1'),
    ({"prompt": "a", "settings": {"n_ablations": 1}}, '"n_ablations" is 1'),
    ({"prompt": "a", "settings": {"by": "chapter"}}, '"by" is "chapter": must be one of token, word'),
    ({"prompt": "a", "settings": {"by": "passage"}}, 'there are no "spans"'),
    ({"prompt": "a", "settings": {"by": "word", "columns": "all"}}, "cannot be combined with columns"),
    ({"prompt": "a", "settings": {"groups": [0]}}, '"groups" is not a field of settings'),
    ({"prompt": "a", "spans": []}, '"spans" must be a list of 1 to 1000'),
    ({"prompt": "a", "spans": [{"begin": 0, "end": 2}]}, "passage 0"),
    ({"prompt": "ab", "spans": [{"begin": 1, "end": 1}]}, "passage 0"),
    ({"prompt": "abc", "spans": [{"begin": 1, "end": 2}, {"begin": 0, "end": 1}]}, "passage 1"),
    ({"prompt": "abc", "spans": [{"begin": 0, "end": 1, "file": "x"}]}, "passage 0"),
    ({"prompt": "abc", "spans": [{"begin": 0, "end": 1, "name": "x" * 201}]}, "at most 200 bytes"),
    ({"prompt": "é", "spans": [{"begin": 0, "end": 2}]}, "passage 0"),
    ({"prompt": "a", "name": "x" * 201}, '"name" has 201 bytes: at most 200'),
    ({"prompt": "a", "completion": ""}, '"completion" is empty'),
    ({"prompt": "a", "completion": "b", "options": {"n_generate": 2}}, "cannot be combined with"),
]


@pytest.mark.parametrize("body, part", FIELDS)
def test_fields_that_cannot_be_right(server, body, part):
    reply = server.post("/api/explain", body)
    assert reply.status == 400 and reply.error["code"] == "bad_request"
    assert part in reply.error["message"], reply.error["message"]


@pytest.mark.parametrize("path, body, part", [
    ("explain", {}, '"methods" is missing'),
    ("explain", {"methods": ["rollout"], "prompt": "a"}, '"prompt" is not a field'),
    ("explain", {"methods": ["rollout"], "settings": {"fuse": "max"}}, '"fuse" is not a field'),
    ("check", {"by": 3}, '"by" must be a string'),
    ("check", {"ablations": 1}, '"ablations" is 1'),
    ("check", {"tokens": [1]}, '"tokens" must be [begin, end]'),
    ("check", {"tokens": [2, 1]}, '"tokens" must be [begin, end]'),
    ("check", {"tokens": [0, 9]}, "the completion has 1 tokens"),
    ("check", {"settings": {"columns": "all"}}, "must be"),
    ("check", {"rewrite": 1}, '"rewrite" must be true or false'),
    ("cite", {"methods": ["logit"]}, '"methods" is not a field'),
    ("cite", {"method": "nonsense"}, "nonsense"),
    ("cite", {"settings": {"columns": "all"}}, "must be"),
    ("cite", {"answer_by": "passage"}, '"answer_by" is "passage": must be one of token'),
    ("cite", {"by": "passage"}, "no passages"),
    ("cite", {"min_peak": 0}, '"min_peak" must be a number above 0'),
    ("cite", {"min_peak": 3, "method": "logit"}, "a peak of logit is a share"),
    ("cite", {"min_peak": 3}, "min_peak 3: peaks of the rule share are at most"),
    ("cite", {"confirm": 33}, '"confirm" is 33'),
])
def test_fields_about_saved_runs(server, path, body, part):
    run = server.explain("a b", n=1)
    reply = server.post(f"/api/runs/{run['id']}/{path}", body)
    assert reply.status == 400 and part in reply.error["message"], reply.body


def test_what_is_too_large(server):
    prompt = b'{"prompt": "' + b"a" * (8 << 20) + b'"}'
    head = f"POST /api/explain HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
    for headers in ("Content-Length: 100000000", f"Expect: 100-continue\r\nContent-Length: {len(prompt)}"):
        out = server.raw(f"{head}{headers}\r\n\r\n".encode(), seconds=3)  # refused before it is read
        assert b" 413 " in out.split(b"\r\n")[0] and b"too_large" in out
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) as s:  # pieces of no announced length
        s.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(9):
            s.sendall(b"100000\r\n" + b"a" * (1 << 20) + b"\r\n")
        s.sendall(b"0\r\n\r\n")
        assert b" 413 " in s.recv(4096).split(b"\r\n")[0]
    assert server.ask("GET", "/api/status", headers={"X-Long": "a" * 100000}).status in (413, 431)
    assert server.get("/api/" + "a" * 100000).status in (404, 414)


def test_a_client_that_sends_a_whole_body_first_gets_the_reason(server):
    """An answer before the end of the body would be lost: the client fails to write, and does not read."""
    body = b'{"prompt": "' + b"a" * (9 << 20) + b'"}'
    for path, headers, status, code in (("/api/explain", {}, 413, "too_large"),
                                        ("/api/explain", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
                                        ("/api/explain", {"Origin": "http://example.com"}, 403, "bad_origin"),
                                        ("/api/nothing", {}, 404, "not_found"), ("/", {}, 405, "method_not_allowed")):
        reply = server.post(path, body, **headers)
        assert (reply.status, reply.error["code"]) == (status, code)


def test_the_largest_body_that_is_accepted(server):
    body = b'{"prompt": "a", "options": {"n_generate": 1}' + b" " * ((8 << 20) - 45) + b"}"
    assert len(body) == 8 << 20
    assert server.ask("POST", "/api/explain", body).status == 200


# ---------------------------------------------------------------- where

def test_paths_that_are_none(server):
    for path in (
        "/index.html",
        "/api",
        "/api/",
        "/api/run",
        "/api/runs/",
        "/api/runs/0",
        "/api/runs/01",
        "/api/runs/-1",
        "/api/runs/1x",
        "/api/runs/" + "9" * 30,
        "/api/runs/1/",
        "/api/status/",
        *SECRETS,
    ):
        reply = server.get(path)
        assert reply.status == 404 and reply.error["code"] == "not_found", path


def test_methods_that_a_path_has_not(server):
    for method, path, allowed in (
        ("POST", "/", "GET"),
        ("DELETE", "/api/status", "GET"),
        ("GET", "/api/explain", "POST"),
        ("PUT", "/api/runs/1", "GET, PATCH, DELETE"),
        ("OPTIONS", "/api/explain", "POST"),
    ):
        reply = server.ask(method, path, headers={"Content-Length": "0"})
        assert reply.status == 405 and reply.headers["Allow"] == allowed, (method, path)


def test_no_request_names_a_file(server, tmp_path):
    run = server.explain("a b", n=1)
    for path in (
        f"/api/runs/{run['id']}/export?format=csv&path=/tmp/x",
        f"/api/runs/{run['id']}/export?format=../../x",
    ):
        reply = server.get(path)
        assert reply.status in (200, 400)
        if reply.status == 200:
            assert f'filename="headwater-{run["id"]}.csv"' in reply.headers["Content-Disposition"]


def test_head_of_the_page(server):
    reply = server.ask("HEAD", "/")
    assert reply.status == 200 and reply.body == b"" and int(reply.headers["Content-Length"]) > 1000


def test_nonsense_does_no_harm(server):
    for data in (
        b"\0" * 100,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000,
    ):
        server.raw(data, seconds=1)
    assert server.get("/api/status").status == 200


def test_connections_are_bounded_and_come_back(server):
    """Clients that open connections and say nothing take all places, but only while they are there."""
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) for _ in range(80)]
    for s in idle:
        s.close()

    def answers():
        with contextlib.suppress(OSError):
            return server.get("/api/status").status == 200

    until(answers, "no place comes free")


# ---------------------------------------------------------------- tables

def test_status_and_models(server, smollm):
    status = server.ok("GET", "/api/status")
    assert status["store"] is False and status["queue"] == 0 and status["version"]
    assert status["model"]["path"] == str(smollm) and len(status["model"]["layers"]) == 30
    assert server.ok("GET", "/api/models")["models"] == [status["model"] | {"loaded": True}]


def test_methods_are_those_of_the_program(server, program):
    import subprocess

    text = subprocess.run([program, "methods"], capture_output=True, check=True, text=True, timeout=HANG_S).stdout
    tables = server.ok("GET", "/api/methods")
    lines = (
        "{name}: {summary}\n  needs     {needs}\n  costs     {cost}\n"
        "  not shown {limitations}\n  from      {reference}\n"
    )
    printed = "".join(line for line in text.splitlines(True) if not line.startswith("  settings "))  # by options' names
    assert "\n".join(lines.format(**m) for m in tables["methods"]) == printed
    for m in tables["methods"]:
        assert m["problem"] == "" and isinstance(m["traits"], list)
    assert [f["name"] for f in tables["filters"]][:2] == ["note", "first"]
    assert [s["name"] for s in tables["segmenters"]] == ["token", "word", "line", "sentence", "paragraph"]
    assert tables["measures"] == ["projection", "norm", "proximity1", "proximity2"]
