"""The same sweep through a real Slurm of one node on loopback, which the test starts as root."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from tests.runs.sweep.test_kills import outcome, undisturbed

LINKED = Path("/etc/slurm/slurm.conf")  # jobs look here: Snakemake takes SLURM_CONF from them
NUMBERS = range(1, 5)
CONFIGURATION = """
ClusterName=loop
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.sock
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MinJobAge=3600
MailProg=/bin/true
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=3000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def waited(condition, what: str):
    limit = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < limit, what
        time.sleep(0.1)
    return value


@pytest.fixture
def cluster():
    """A running Slurm; `cluster(command, ...)` gives what a command of it prints."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    for name in ("state", "spool", "log", "run"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    host = socket.gethostname().partition(".")[0]
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(host=host, folder=folder, cpus=os.cpu_count()).lstrip()
    )
    LINKED.parent.mkdir(exist_ok=True)
    LINKED.symlink_to(configuration)

    def call(*command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    try:
        munge = {"key-file": "munge.key", "socket": "run/munge.sock", "pid-file": "run/munged.pid"}
        munge |= {"log-file": "log/munged.log", "seed-file": "run/munge.seed"}
        call("munged", "--force", *(f"--{name}={folder / path}" for name, path in munge.items()))
        call("slurmctld", "-f", str(configuration))
        call("slurmd", "-f", str(configuration))
        waited(lambda: "idle" in call("sinfo", "--noheader"), "the node did not come up")
        yield call
    finally:
        for path in (folder / "run").glob("*.pid"):
            os.kill(int(path.read_text()), signal.SIGTERM)
        LINKED.unlink()
        waited(lambda: not list((folder / "run").glob("*.pid")), "a daemon did not stop")
        shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.slurm
def test_a_killed_coordinator_and_a_cancelled_job_change_nothing(clone, cluster):
    expected = undisturbed(clone, NUMBERS)
    squares = clone(seconds=3, figure=True)
    path = squares.sweep(NUMBERS, draw={"numbers": [*NUMBERS]})
    profile = {"partition": "main", "minutes": 5, "memory": 500, "jobs": 2, "accounting": False}
    slurm = squares.write("workflow/slurm.yaml", yaml.safe_dump({**profile, "first_check": 3}))

    first = squares.start(path, "--slurm", str(slurm))
    squares.until(squares.computed, first)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()

    second = squares.start(path, "--slurm", str(slurm))
    # Cancel a job that is far from its end: one that just ended its work may not have stored it.
    squares.until(lambda: 2 <= len(squares.computed("end")) < len(squares.computed()), second)
    running = waited(
        lambda: cluster("squeue", "--noheader", "--states=R", "--format=%i").split(), "no job runs"
    )
    cluster("scancel", running[-1])
    out, err = second.communicate(timeout=500)
    assert (second.returncode, err) == (0, ""), (squares.place / "snakemake.log").read_text()
    assert "squares: 4 done, 0 running, 0 failed, 0 left\n" in out
    assert squares.computed("end") == [*NUMBERS]
    assert len(squares.computed()) <= len(NUMBERS) + 1  # the one that was cancelled
    assert outcome(squares) == expected
