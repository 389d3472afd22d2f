"""The documentation as a static site: pages of docs/, executed notebooks, and measured numbers.

`make docs` redraws the notebooks from what ships and calls `python -m vzlib.site`. No number is
typed in a page: `{{ gallery }}`, `{{ which_method }}` and `{{ ledger }}` are filled in from the
tables in figures/.
"""
