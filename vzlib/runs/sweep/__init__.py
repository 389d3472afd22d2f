"""Sweeps: one notebook over a grid of parameters, every point once, whatever is killed meanwhile.

`sweep_file` reads and checks a sweep file as a whole, `frozen` copies the code that a run uses,
`point` runs one job in a process of its own, and `coordinator` lets Snakemake start the jobs.
"""
