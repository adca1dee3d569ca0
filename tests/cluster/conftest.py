"""A Slurm of one machine for the tests: munged, slurmctld and slurmd from Debian's packages, with their own folder and
ports.

Slurm starts jobs as their users, so it needs root. Where it or its programs are not there, the tests are skipped and
pytest ends with 77, which ctest shows as skipped.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import pytest
from patience import HANG_S, patience
from program import program, smollm  # noqa: F401

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "squeue", "sinfo")
SKIPPED = 77

CONFIG = """
ClusterName=headwater
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued task starts again when the credential of its first start has expired; 5 s is the least that can be set.
AuthInfo=socket={folder}/munge,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES State=UP
"""


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and reporter.stats.get("skipped") and not reporter.stats.get("passed"):
        session.exitstatus = SKIPPED


def path_with_sbin():
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def why_not():
    missing = [name for name in PROGRAMS if not shutil.which(name, path=path_with_sbin())]
    if missing:
        return f"no Slurm here: {', '.join(missing)} (Debian: slurmctld slurmd slurm-client munge)"
    return "Slurm starts jobs as their users, which needs root" if os.geteuid() else None


def free_ports(n):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Slurm:
    """The daemons, in the foreground so that they can be ended, and the client programs."""

    def __init__(self, folder):
        self.folder, self.running = folder, []
        host = socket.gethostname().split(".")[0]
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o600)
        (folder / "slurm.conf").write_text(CONFIG.format(host=host, ports=free_ports(2), folder=folder))
        self.env = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path_with_sbin()}

    def start(self):
        files = [f"--{what}={self.folder / name}" for what, name in (
            ("socket", "munge"), ("key-file", "key"), ("pid-file", "munge.pid"), ("seed-file", "seed"),
            ("log-file", "munge.log"))]
        self.daemon("munged", "--foreground", "--force", *files)
        self.wait(lambda: (self.folder / "munge").exists(), "munged has no socket")
        self.daemon("slurmctld", "-D", "-c")
        self.daemon("slurmd", "-D", "-c")
        self.wait(lambda: self.run("sinfo", "--noheader", "--format=%T", check=False).strip() == "idle",
                  "the node does not become idle")

    def daemon(self, *command):
        with open(self.folder / f"{command[0]}.out", "wb") as out:
            self.running.append(subprocess.Popen(command, env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL,
                                                 stdout=out, stderr=out))

    def wait(self, done, complaint, seconds=HANG_S):
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                logs = "\n".join(f"--- {p.name}\n{p.read_text(errors='replace')}" for p in self.folder.glob("*.out"))
                pytest.fail(f"{complaint}\n{self.run('squeue', check=False)}\n{logs}", pytrace=False)
            time.sleep(0.1)

    def run(self, *command, cwd=None, check=True):
        done = subprocess.run(command, env=self.env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0 or not check, f"{command}: {done.stderr}"
        return done.stdout

    def field(self, job, name):
        """A field of what scontrol shows of a job or of one task of an array, as JobState."""
        shown = self.run("scontrol", "--oneliner", "show", "job", job)
        return next(word for word in shown.split() if word.startswith(name + "=")).partition("=")[2]

    def stop(self):
        self.run("scancel", "--user=root", "--signal=KILL", "--full", check=False)
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            try:
                process.wait(timeout=patience(10))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def slurm():
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(
        prefix="slurm-", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:  # short: sockets are in it
        made = Slurm(pathlib.Path(folder))
        try:
            made.start()
            yield made
        finally:
            made.stop()
