"""Training loops and losses that embedded models and experiments share."""
