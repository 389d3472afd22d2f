"""Runs the Triton kernels on random cases; prints the worst errors, in units of what is allowed.

On a GPU if there is one, else in Triton's interpreter, which TRITON_INTERPRET=1 chooses when Triton
is first imported: hence a process of its own. The interpreter cannot multiply bf16.
"""

import json
import sys
import warnings
from collections import Counter

import torch

from tests.tokens import float64, random_attention
from vzlib.tokens import packed_attention
from vzlib.tokens.column_sum_triton import column_sum

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = [torch.float32, torch.float16, *([torch.bfloat16] if DEVICE == "cuda" else [])]
LONGEST, HEADS = 140, 2


def padded(seed):
    """(error of both passes, error with a log-sum-exp given, error of a second run)."""
    queries, keys, scale, valid, kind = random_attention.case(seed, DTYPES, LONGEST, HEADS)
    q, k = queries.to(DEVICE), keys.to(DEVICE)
    v = None if valid is None else valid.to(DEVICE)
    votes = v if v is not None and v.shape[1] == q.shape[2] else None
    count = q.shape[1] * (q.shape[2] if votes is None else votes.sum(1, keepdim=True).clamp(min=1))
    expected = float64.received(queries, keys, scale, valid)
    allowed = float64.tolerance(queries, keys, scale)

    logits = q.float() @ k.float().transpose(2, 3) * scale
    if v is not None:
        logits = logits.masked_fill(~v[:, None, None], -torch.inf)
    found = column_sum(q, k, scale, v, votes)
    again = column_sum(q, k, scale, v, votes)
    given = column_sum(q, k, scale, v, votes, log_sum_exp=logits.logsumexp(-1))
    return kind, {
        "both passes": float64.error((found / count).cpu(), expected, allowed),
        "log-sum-exp given": float64.error((given / count).cpu(), expected, allowed),
        "not repeated": float((again - found).abs().max()),
        "attention to padding": 0.0 if v is None else float(found[~v].abs().sum()),
    }


def packed(seed):
    queries, keys, scale, ends, kind = random_attention.packed_case(seed, DTYPES, LONGEST, HEADS)
    q, k, e = queries.to(DEVICE), keys.to(DEVICE), ends.to(DEVICE)
    found = packed_attention.received_attention_packed(q, k, scale, e).cpu()
    expected = float64.packed(queries, keys, scale, ends)
    allowed = float64.tolerance(queries, keys, scale)
    return kind, {"packed": float64.error(found, expected, allowed)}


def malformed():
    """Lengths that are no lengths, of 9 tokens, unseen by the check: how many do not give NaN."""
    q = torch.ones(2, 9, 64, device=DEVICE)
    packed_attention._check = lambda *_: None  # on a GPU it does not look at the lengths
    wrong = ([0, 4, 4, 9], [0, 5, 4, 9], [0, 12, 9], [1, 4, 9], [0, 4, 8], [0, 4, 12], [-2, 9])
    found = [
        packed_attention.received_attention_packed(q, q, 1.0, torch.tensor(ends, device=DEVICE))
        for ends in wrong
    ]
    return sum(not bool(each.isnan().all()) for each in found)


def main(cases):
    packed_attention.has_kernel = lambda queries, keys: True  # here Triton takes CPU tensors too
    warnings.simplefilter("ignore", RuntimeWarning)  # NumPy on what the kernel masks afterwards
    kinds, worst = Counter(), {}
    for seed in range(cases):
        for measure in (padded, packed):
            kind, errors = measure(seed)
            kinds[kind] += 1
            for name, error in errors.items():
                worst[name] = max(worst.get(name, (0.0, -1)), (error, seed))
    print(json.dumps({"worst": worst, "kinds": kinds, "malformed": malformed()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
