# The jobs of a sweep. Not called by hand: `vzlib sweep params/sweeps/<name>.yaml` writes the plan.
# Snakemake only starts, counts and repeats jobs; what makes a point happen once is in vzlib/runs/sweep/point.py.
import json
from pathlib import Path

CODE = str(workflow.basedir)  # the copy of the code that the run uses, with the plan in it
PLAN = str(Path(CODE, config["plan"]))
plan = json.loads(Path(PLAN).read_text(encoding="utf-8"))


rule all:
    input:
        [f"marks/{job}" for job in plan["jobs"]],


rule job:
    output:
        "marks/{job}",
    params:
        points=lambda wildcards: plan["jobs"][wildcards.job],
        python=plan["python"],
    resources:
        attempt=lambda wildcards, attempt: attempt,
    shell:
        "exec {params.python:q} {CODE:q} run-job {PLAN:q} {wildcards.job} --attempt {resources.attempt}"
