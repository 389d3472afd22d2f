"""What a claim of the paper is decided by, and what was found of it.

Each analysis has a module `claims` that names the `NOTEBOOK` which measures and its `CLAIMS`: by
id, a function from the `vzlib.claims.evidence.Evidence` to a `vzlib.claims.finding.Finding`.
Notebook 15 finds these modules by name.
"""
