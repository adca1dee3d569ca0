"""Who is answered: tokens, addresses and Unix sockets; and what a monitor reads."""

import http.client
import re
import socket
import stat
import subprocess

import pytest

from patience import HANG_S

TOKEN = "0123456789abcdef-token"


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=HANG_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def refused(program, model, *options):
    done = subprocess.run([program, "serve", "-m", model, "--no-store", *map(str, options)], capture_output=True,
                          text=True, timeout=HANG_S)
    assert done.returncode and not done.stdout
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def guarded(serve, tmp_path_factory):
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(TOKEN + "\n")
    server = serve("--no-store", "--auth-token-file", path)
    yield server
    assert server.stop() == 0


def test_only_requests_with_the_token_are_answered(guarded):
    for headers in ({}, {"Authorization": "Bearer " + TOKEN[:-1]}, {"Authorization": f"Bearer {TOKEN}x"},
                    {"Authorization": TOKEN}, {"x-api-key": ""}, {"Cookie": "headwater-token=x"}):
        for path in ("/", "/api/status", "/v1/models", "/metrics", "/nonsense"):
            reply = guarded.get(path, **headers)
            assert reply.status == 401 and TOKEN not in reply.body.decode(), (path, headers)
    for headers in ({"Authorization": "Bearer " + TOKEN}, {"Authorization": "bearer " + TOKEN}, {"x-api-key": TOKEN},
                    {"Cookie": "headwater-token=" + TOKEN}):
        assert guarded.get("/v1/models", **headers).status == 200, headers
    assert guarded.get("/api/status?token=" + TOKEN).status == 401  # an address is written into logs: only the page
    assert guarded.get("/health").status == 200


def test_the_refusal_has_the_form_of_the_api(guarded):
    for path, kind in (("/v1/chat/completions", "authentication_error"), ("/v1/messages", "authentication_error")):
        reply = guarded.post(path, {})
        assert reply.status == 401 and reply.json["error"]["type"] == kind
    assert set(guarded.post("/v2/chat", {}).json) == {"message"}
    assert guarded.get("/api/runs").error["code"] == "unauthorized"


def test_the_page_passes_its_token_on_as_a_cookie(guarded):
    reply = guarded.get("/?token=" + TOKEN)
    assert reply.status == 200 and b"<html" in reply.body
    cookie = reply.headers["Set-Cookie"]
    assert cookie == f"headwater-token={TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    assert "Set-Cookie" not in guarded.get("/health").headers
    assert guarded.get("/?token=x").status == 401


def test_with_the_token_any_host_name_is_answered_but_no_other_site(guarded):
    known = {"Authorization": "Bearer " + TOKEN, "Host": "models.example.org:4780"}
    assert guarded.get("/v1/models", **known).status == 200
    assert guarded.get("/v1/models", Host="models.example.org:4780").status == 401
    assert guarded.get("/v1/models", Origin="http://evil.example", **known).status == 403


@pytest.mark.parametrize("text", ["short", "a" * 201, "two words in one line", "é" * 20, "", "the-first-line\nsecond"])
def test_tokens_that_no_header_can_hold(program, smollm, tmp_path, text):
    path = tmp_path / "token"
    path.write_text(text)
    assert refused(program, smollm, "--auth-token-file", path)[0] == 1


def test_addresses_of_other_machines_need_a_token(program, smollm, tmp_path):
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        status, said = refused(program, smollm, "--host", host)
        assert status == 2 and "--auth-token-file" in said
    assert refused(program, smollm, "--host", "localhost")[0] == 2
    assert refused(program, smollm, "--socket", tmp_path / "s", "--port", 4790)[0] == 2
    assert refused(program, smollm, "--open", "--auth-token-file", "x")[0] == 2
    assert refused(program, smollm, "--auth-token-file", tmp_path / "missing")[0] == 1


def test_a_unix_socket_for_one_user(program, smollm, tmp_path):
    path = tmp_path / "headwater.sock"
    with socket.socket(socket.AF_UNIX) as left:  # by a server that was killed
        left.bind(str(path))
    command = [str(program), "serve", "-m", str(smollm), "--no-store", "--socket", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout.readline().decode() == f"unix:{path}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_ISSOCK(path.stat().st_mode)
        connection = Unix(path)
        connection.request("POST", "/v1/completions", b'{"prompt": "One, two,", "max_tokens": 2}',
                           {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200
        second = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
        assert second.returncode == 1 and "in use" in second.stderr
        assert path.exists()
    finally:
        process.terminate()
        assert process.wait(HANG_S) == 0
    assert not path.exists()
    path.write_text("mine")
    assert refused(program, smollm, "--socket", path)[0] == 1
    assert path.read_text() == "mine"


def sample(text, name):
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)[1])


def test_metrics_count_what_was_done(server):
    before = server.get("/metrics")
    assert before.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    server.ok("POST", "/v1/completions", {"prompt": "One, two, three,", "max_tokens": 3})
    server.explain(n=2, methods=["rollout"])
    assert server.post("/v1/completions", {"nonsense": 1}).status == 400
    server.idle()
    before, after = before.body.decode(), server.get("/metrics").body.decode()

    def grown(name):
        return sample(after, name) - sample(before, name)

    assert grown('headwater_jobs_total{kind="answer",result="done"}') == 1
    assert grown('headwater_jobs_total{kind="explain",result="done"}') == 1
    assert grown("headwater_completion_tokens_total") == 5 and grown("headwater_prompt_tokens_total") > 10
    assert grown("headwater_job_seconds_total") > 0 and grown('headwater_http_requests_total{code="4xx"}') == 1
    assert sample(after, "headwater_engine_up") == 1 and sample(after, "headwater_jobs") == 0
    for line in after.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) headwater_\w+ .+|headwater_\w+(\{[a-z]+="\w+"(,[a-z]+="\w+")*\})? [\d.e+]+',
                            line), line
