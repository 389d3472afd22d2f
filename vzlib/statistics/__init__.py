"""Intervals, comparisons and verdicts: what measured numbers say."""

MEAN = "mean"  # the name under which the mean over tasks stands among the tasks
