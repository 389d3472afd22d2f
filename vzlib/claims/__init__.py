"""Claims of the paper put to the test: one module for each analysis, and the ledger of all.

A module here names the `NOTEBOOK` that measures and its `CLAIMS`: by id, a function from the
`vzlib.claims.evidence.Evidence` to a `vzlib.claims.finding.Finding`. It is entered in
`vzlib.claims.registry`.
"""
