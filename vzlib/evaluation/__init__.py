"""Questions about images, answers and their scores: what experiments and evaluators share."""
