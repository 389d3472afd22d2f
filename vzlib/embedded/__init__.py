"""The models that this repository trains and ships, a package each."""
