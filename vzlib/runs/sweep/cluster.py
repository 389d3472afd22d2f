"""What a job asks of Slurm, from a small file such as workflow/slurm.yaml."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from vzlib import plain_yaml
from vzlib.parameters import ParameterError, validate


class Slurm(BaseModel):
    """Resources of a job; what is None is left to the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition: str | None = None
    account: str | None = None
    gpu: int = Field(0, ge=0)
    cpus: int = Field(1, ge=1)
    memory: int = Field(4000, ge=1)  # MiB
    minutes: int = Field(60, ge=1)
    jobs: int = Field(10, ge=1)  # queued or running at a time
    accounting: bool = True  # whether sacct can be asked; without slurmdbd, squeue is
    first_check: int = Field(40, ge=1)  # seconds until Snakemake first asks for the state of jobs

    def options(self) -> list[str]:
        """The options of Snakemake that send jobs to Slurm with these resources."""
        resources = {
            "slurm_partition": _quoted(self.partition),
            "slurm_account": _quoted(self.account),
            "gpu": self.gpu or None,
            "cpus_per_task": self.cpus,
            "mem_mb": self.memory,
            "runtime": self.minutes,
        }
        given = [f"{name}={value}" for name, value in resources.items() if value is not None]
        options = ["--executor", "slurm", "--jobs", str(self.jobs), "--default-resources", *given]
        options += ["--latency-wait", "60"]  # until a file written by a node is seen here
        options += ["--slurm-init-seconds-before-status-checks", str(self.first_check)]
        # Left to itself the plugin asks sacct, and without accounting waits for ever.
        options += ["--slurm-status-command", "sacct" if self.accounting else "squeue"]
        return options if self.account else [*options, "--slurm-no-account"]


def _quoted(text: str | None) -> str | None:
    """A text so that Snakemake, which reads resources as Python, takes it as it is."""
    if text is None:
        return None
    return repr(text).replace("$", r"\x24").replace("~", r"\x7e")  # nor puts variables into it


def read(path: Path) -> Slurm:
    """Read such a file.

    Raises:
        ParameterError: it cannot be read, or something in it is unknown or not allowed.
    """
    try:
        content = plain_yaml.mapping(path)
    except ValueError as error:
        raise ParameterError(str(error)) from None
    checked: Slurm = validate(Slurm, content)
    return checked
