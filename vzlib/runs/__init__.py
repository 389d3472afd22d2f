"""Notebooks run, one by one or over a grid; what they leave is indexed, reported and compared."""
