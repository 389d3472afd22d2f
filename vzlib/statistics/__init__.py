"""Intervals, comparisons and verdicts: what measured numbers say."""
