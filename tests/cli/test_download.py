"""--download against a hub on this machine that breaks off, lies, refuses and hangs."""

import hashlib
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

REPO = "owner/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A model hub: files by path, and what it does wrong."""

    def __init__(self, files, certificate=None):
        self.files = files
        self.requests = []  # path and first byte of each request for a file
        self.cut = []  # after how many bytes the next answers end
        self.ranges = True
        self.answers = {}  # status by the beginning of a path
        self.changed = {}  # bytes that are sent in place of a file's
        self.extra = []  # more entries of the list of files
        self.waits = 0.0  # seconds between two pieces of a file
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                hub.answer(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server.server_port}"

    def entries(self):
        return self.extra + [
            {"type": "file", "path": path, "size": len(data), "oid": "0" * 40,
             "lfs": {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}}
            for path, data in self.files.items()
        ]

    def answer(self, request):
        path, _, _ = request.path.partition("?")
        for front, status in self.answers.items():
            if path.startswith(front):
                return self.send(request, status, b"no")
        if path == f"/api/models/{REPO}/refs":
            branches = [{"name": "other", "targetCommit": "f" * 40}, {"name": "main", "targetCommit": COMMIT}]
            return self.send(request, 200, json.dumps({"branches": branches}).encode())
        if path == f"/api/models/{REPO}/tree/{COMMIT}":
            return self.send(request, 200, json.dumps(self.entries()).encode())
        name = path.removeprefix(f"/{REPO}/resolve/{COMMIT}/")
        if name not in self.files:
            return self.send(request, 404, b"no")
        data = self.changed.get(name, self.files[name])
        begin = int(request.headers.get("Range", "bytes=0-")[6:].split("-")[0]) if self.ranges else 0
        self.requests.append((name, begin))
        self.token = request.headers.get("Authorization")
        request.send_response(206 if begin else 200)
        request.send_header("Content-Length", str(len(data) - begin))
        if begin:
            request.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        request.end_headers()
        end = min(len(data), begin + self.cut.pop(0)) if self.cut else len(data)
        step = 1 << 16
        for at in range(begin, end, step):
            try:
                request.wfile.write(data[at:min(at + step, end)])
            except OSError:
                return
            time.sleep(self.waits)
        if end < len(data):
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def send(request, status, body):
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def bytes_of(n, seed):
    return b"GGUF" + hashlib.shake_256(seed).digest(n - 4)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    models = {"tiny-Q4_K_M.gguf": bytes_of(300_000, b"a"), "tiny-Q8_0.gguf": bytes_of(1000, b"b")}
    h = Hub(models | {"README.md": b"read me"})
    proxies = [f"{name}_proxy" for name in ("http", "https", "all")]
    folders = ["LLAMA_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]
    for name in [*folders, *proxies, *map(str.upper, proxies), "MODEL_ENDPOINT", "HF_TOKEN", "HEADWATER_MODEL"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", h.address)
    yield h
    h.server.shutdown()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache/hub/models--owner--tiny"


def get(headwater, name=f"hf:{REPO}", *more):
    """These bytes are not a model: a download that is complete ends with libllama's refusal of the file."""
    return headwater("info", "-m", name, "--download", *more)


def assert_complete(done, folder, hub, name="tiny-Q4_K_M.gguf"):
    link = folder / "snapshots" / COMMIT / name
    assert f"snapshots/{COMMIT}/{name}" in done.err, done.err  # it was opened
    assert link.is_symlink() and link.read_bytes() == hub.files[name]
    assert (folder / "refs/main").read_text() == COMMIT
    assert not list((folder / "blobs").glob("*.downloadInProgress"))


def assert_nothing_to_open(folder):
    assert not list(folder.glob("snapshots/*/*")) and not (folder / "refs/main").exists()


def test_nothing_is_asked_of_the_network_without_the_option(headwater, hub):
    done = headwater("info", "-m", f"hf:{REPO}")
    assert done.status == 2 and "--download fetches it" in done.err and not hub.requests


def test_a_model_is_fetched_once(headwater, hub, folder):
    done = get(headwater)
    assert "downloading tiny-Q4_K_M.gguf (0.3 MB) from 127.0.0.1" in done.err
    assert_complete(done, folder, hub)
    assert hub.requests == [("tiny-Q4_K_M.gguf", 0)]
    again = get(headwater)
    assert "downloading" not in again.err and len(hub.requests) == 1
    assert f"hf:{REPO}:Q4_K_M" in headwater("models").out


def test_another_quantisation_keeps_the_first(headwater, hub, folder):
    get(headwater)
    assert_complete(get(headwater, f"hf:{REPO}:Q8_0"), folder, hub, "tiny-Q8_0.gguf")
    assert (folder / "snapshots" / COMMIT / "tiny-Q4_K_M.gguf").exists()
    done = get(headwater, f"hf:{REPO}:Q2_K")
    assert done.status == 2 and 'has no "Q2_K"; there are Q4_K_M, Q8_0' in done.err


def test_a_connection_that_breaks_off_is_continued(headwater, hub, folder):
    hub.cut = [100_000, 50_000]
    assert_complete(get(headwater), folder, hub)
    begins = [begin for _, begin in hub.requests]
    assert begins[0] == 0 and 0 < begins[1] <= 100_000 and begins[1] < begins[2] <= 150_000


def test_what_is_left_of_a_broken_download_is_continued_and_never_opened(headwater, hub, folder):
    hub.cut = [90_000, 0, 0, 0, 0]
    done = get(headwater, "hf:owner/tiny", "-q")
    assert done.status == 1 and "broke off after 0.1 of 0.3 MB" in done.err and "the same command continues" in done.err
    assert_nothing_to_open(folder)
    assert headwater("info", "-m", f"hf:{REPO}").status == 2 and "owner/tiny" not in headwater("models").out
    hub.cut, hub.requests = [], []
    assert_complete(get(headwater), folder, hub)
    assert hub.requests[0][1] > 0


def test_a_server_without_ranges(headwater, hub, folder):
    hub.cut, hub.ranges = [100_000], False
    assert_complete(get(headwater), folder, hub)


@pytest.mark.parametrize("kept", [0, 1000])
def test_a_checksum_that_differs(headwater, hub, folder, kept):
    """Of the bytes that arrive, or of those that an earlier download left."""
    name = "tiny-Q4_K_M.gguf"
    if kept:
        blob = folder / "blobs" / (hashlib.sha256(hub.files[name]).hexdigest() + ".downloadInProgress")
        blob.parent.mkdir(parents=True)
        blob.write_bytes(b"x" * kept)
    else:
        hub.changed[name] = b"x" + hub.files[name][1:]
    done = get(headwater)
    assert done.status == 1 and f"the checksum of {name} differs" in done.err and "try again" in done.err
    assert_nothing_to_open(folder)
    assert not list((folder / "blobs").iterdir())
    hub.changed.clear()
    assert_complete(get(headwater), folder, hub)


def test_ctrl_c_keeps_what_arrived(headwater, hub, folder):
    hub.waits = 0.2
    command = [os.environ["HEADWATER_BIN"], "info", "-m", f"hf:{REPO}", "--download"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    partial = lambda: list(folder.glob("blobs/*.downloadInProgress"))
    deadline = time.monotonic() + 60
    while not (partial() and partial()[0].stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and b"are kept: the same command continues there" in err
    assert partial()[0].stat().st_size > 0
    assert_nothing_to_open(folder)
    hub.waits = 0
    assert_complete(get(headwater), folder, hub)
    assert hub.requests[-1][1] > 0


def test_no_network(headwater, hub, folder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = get(headwater)
    assert done.status == 1 and "127.0.0.1:9 cannot be reached" in done.err and "is there a network?" in done.err
    assert not folder.exists()


@pytest.mark.parametrize(("address", "says"), [
    ("file:///etc", "must begin with http:// or https://"),
    ("example", "must begin with http:// or https://"),
])
def test_an_address_that_is_none(headwater, hub, monkeypatch, address, says):
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert says in get(headwater).err


@pytest.mark.parametrize(("path", "status", "exit_status", "says"), [
    ("/api", 404, 2, "has no model owner/tiny"),
    ("/api", 401, 1, "set HF_TOKEN to a token that may read it"),
    ("/api", 500, 1, "does not answer"),
    ("/owner", 403, 1, "refuses access to tiny-Q4_K_M.gguf (403): set HF_TOKEN"),
    ("/owner", 404, 1, "broke off after 0.0 of 0.3 MB"),
])
def test_a_hub_that_refuses(headwater, hub, folder, path, status, exit_status, says):
    hub.answers[path] = status
    done = get(headwater)
    assert done.status == exit_status and says in done.err, done.err
    assert_nothing_to_open(folder)


def test_the_token_is_sent(headwater, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    done = get(headwater)
    assert hub.token == "Bearer hf_secret" and "hf_secret" not in done.err + done.out


def test_a_split_is_fetched_whole(headwater, hub, folder):
    hub.files = {f"b/big-Q4_K_M-0000{i}-of-00002.gguf": bytes_of(5000, b"%d" % i) for i in (1, 2)}
    assert_complete(get(headwater), folder, hub, "b/big-Q4_K_M-00001-of-00002.gguf")
    assert (folder / "snapshots" / COMMIT / "b/big-Q4_K_M-00002-of-00002.gguf").exists()


def test_half_a_split(headwater, hub, folder):
    hub.files = {"big-Q4_K_M-00001-of-00002.gguf": bytes_of(5000, b"1")}
    done = get(headwater)
    assert done.status == 1 and "half a model: the hub has 1 of the 2 files" in done.err
    assert_nothing_to_open(folder)


@pytest.mark.parametrize(
    "path", ["../../x-Q4_K_M.gguf", "/tmp/x-Q4_K_M.gguf", "a/../../x-Q4_K_M.gguf", "a//x.gguf", "x\n.gguf", ""]
)
def test_names_that_lead_out_of_the_cache(headwater, hub, folder, tmp_path, path):
    data = bytes_of(100, b"z")
    hub.files = {path: data}
    done = get(headwater)
    assert done.status == 2 and "has no GGUF file of a model" in done.err
    assert not list(tmp_path.rglob("*x-Q4_K_M*"))


@pytest.mark.parametrize("entry", [
    {"type": "file", "path": "a-Q4_K_M.gguf", "size": 5, "lfs": {"oid": "../../../x", "size": 5}},
    {"type": "file", "path": "a-Q4_K_M.gguf", "size": 5, "oid": "0" * 40},
])
def test_a_file_without_a_checksum_is_refused(headwater, hub, entry):
    hub.files, hub.extra = {}, [entry]
    done = get(headwater)
    assert done.status == 1 and "no SHA-256 of a-Q4_K_M.gguf" in done.err


def test_more_than_was_announced(headwater, hub, folder):
    name = "tiny-Q4_K_M.gguf"
    hub.changed[name] = hub.files[name] + b"more"
    done = get(headwater)
    assert done.status == 1 and f"sends more of {name} than its 300000 bytes" in done.err
    assert_nothing_to_open(folder)


def test_an_entry_that_points_nowhere_is_mended(headwater, hub, folder):
    get(headwater)
    next((folder / "blobs").iterdir()).unlink()
    assert "points nowhere" in headwater("info", "-m", f"hf:{REPO}").err
    assert_complete(get(headwater), folder, hub)


# ------------------------------------------------------------------ HTTPS


def openssl(*arguments, folder):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Of an authority (ca.pem), and signed by it: for 127.0.0.1, for another host, and one that has expired; each with
    its key in one file."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority", folder=folder)
    kinds = (("good", "IP:127.0.0.1", "2"), ("other", "DNS:hub.example", "2"), ("old", "IP:127.0.0.1", "-1"))
    for name, host, days in kinds:
        (folder / "extensions").write_text(f"subjectAltName={host}")
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=hub", folder=folder)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                days, "-extfile", "extensions", "-out", f"{name}.crt", folder=folder)
        parts = [(folder / f"{name}.{kind}").read_bytes() for kind in ("crt", "key")]
        (folder / f"{name}.pem").write_bytes(b"".join(parts))
    return folder


@pytest.fixture
def secure_hub(hub, certificates, monkeypatch):
    """Makes a hub over HTTPS, with one of the certificates."""
    made = []

    def make(name):
        made.append(Hub(hub.files, certificates / f"{name}.pem"))
        monkeypatch.setenv("HF_ENDPOINT", made[-1].address)
        return made[-1]

    for variable in ("CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(variable, raising=False)
    yield make
    for h in made:
        h.server.shutdown()


@pytest.mark.parametrize("variable", ["CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_https_with_an_authority_of_the_user(headwater, secure_hub, folder, certificates, monkeypatch, variable):
    h = secure_hub("good")
    monkeypatch.setenv(variable, str(certificates / "ca.pem"))
    h.cut = [100_000]
    assert_complete(get(headwater), folder, h)
    assert len(h.requests) == 2


@pytest.mark.parametrize(("certificate", "trusted", "says"), [
    ("good", None, "certificate"),  # an authority that the system does not know
    ("other", "ca.pem", "127.0.0.1"),  # for another host
    ("old", "ca.pem", "expired"),
    ("good", "absent.pem", "absent.pem"),
])
def test_a_certificate_that_is_not_accepted(
    headwater, secure_hub, folder, certificates, monkeypatch, certificate, trusted, says
):
    h = secure_hub(certificate)
    if trusted:
        monkeypatch.setenv("CURL_CA_BUNDLE", str(certificates / trusted))
    done = get(headwater)
    assert done.status == 1 and "the certificate of 127.0.0.1" in done.err and "is not accepted" in done.err, done.err
    assert says in done.err and "SSL_CERT_FILE" in done.err
    assert not h.requests and not folder.exists()


def test_https_that_redirects_to_http(headwater, secure_hub, hub, folder, certificates, monkeypatch):
    h = secure_hub("good")
    monkeypatch.setenv("CURL_CA_BUNDLE", str(certificates / "ca.pem"))

    def redirect(request):
        request.send_response(302)
        request.send_header("Location", hub.address + request.path)
        request.send_header("Content-Length", "0")
        request.end_headers()

    h.answer = redirect
    done = get(headwater)
    assert done.status == 1 and "does not answer" in done.err and not hub.requests
