"""The method once more, in plain Python floats (float64) and loops, sharing nothing with vzlib.

Written from the paper's algorithms and the behaviour of the released code; one image at a time.
"""

import math


def kept_indices(scores, dominant, cls):
    """Indices of the `dominant` highest scores, lower index first among equals; CLS (0) always."""
    kept = {0} if cls else set()
    while len(kept) < dominant:
        best = None
        for index, score in enumerate(scores):
            if index not in kept and (best is None or score > scores[best]):
                best = index
        kept.add(best)
    return sorted(kept)


def target_indices(kept, tokens, contextual):
    """Every step-th token that is not kept."""
    leftovers = [index for index in range(tokens) if index not in kept]
    if contextual == 0:
        return []
    step = max(1, len(leftovers) // contextual)
    return [leftovers[number * step] for number in range(contextual)]


def cosine(one, other):
    """Cosine similarity; 0 if either vector is zero."""
    lengths = math.sqrt(sum(x * x for x in one)) * math.sqrt(sum(x * x for x in other))
    return sum(x * y for x, y in zip(one, other, strict=True)) / lengths if lengths else 0.0


def best_target(key, target_keys):
    """Number of the most similar target, the first among equals, and all similarities."""
    similarities = [cosine(key, target_key) for target_key in target_keys]
    return similarities.index(max(similarities)), similarities


def group(tokens, target, merged, merge):
    """Contextual token of a target and what merged into it; and the same sum of magnitudes."""
    result, magnitude = [], []
    for dimension, centre in enumerate(tokens[target]):
        values = [tokens[index][dimension] for index in merged]
        if merge == "paper":
            result.append((centre + sum(values)) / (1 + len(values)))
            magnitude.append((abs(centre) + sum(map(abs, values))) / (1 + len(values)))
        else:
            result.append(centre + sum(values) / max(1, len(values)))
            magnitude.append(abs(centre) + sum(map(abs, values)) / max(1, len(values)))
    return result, magnitude
