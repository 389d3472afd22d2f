"""Which commit of a model on the Hugging Face hub is meant, asked once, and what keeps it away."""

import functools
import re
from pathlib import Path

TIMEOUT = 5.0  # seconds until the hub counts as unreachable
COMMIT = re.compile(r"[0-9a-f]{40}")


class LoadError(ValueError):
    """A model that cannot be found or loaded; the message says which and why."""


@functools.cache
def commit(source: str, revision: str) -> tuple[str, bool]:
    """The commit that a branch, tag or commit of a hub model stands for, and whether the hub is out
    of reach, so that all of it has to come from the cache.

    The newest on the hub, else the one in the cache. It stays the same as long as the process
    lives, so that what is loaded late is what results were filed under early. One short request.

    Raises LoadError, which tells a model that is not there or private, one that is gated, and a hub
    that does not answer apart.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    cached = _cached(source, revision)
    if cached and COMMIT.fullmatch(revision):
        return cached, constants.HF_HUB_OFFLINE
    reason = "HF_HUB_OFFLINE is set"
    if not constants.HF_HUB_OFFLINE:
        try:
            url = hf_hub_url(source, "config.json", revision=revision, endpoint=constants.ENDPOINT)
            found = get_hf_file_metadata(url, timeout=TIMEOUT).commit_hash
        except Exception as error:  # of whichever HTTP library the hub client uses
            if not cached and (refused := _refusal(source, revision, error)):
                raise LoadError(refused) from error
            reason = first_line(error)
        else:
            if found:
                return found, False
            reason = "it names no commit"
    if not cached:
        raise LoadError(
            f"{source} is no folder here and not in the cache, and the hub at {constants.ENDPOINT} "
            f"cannot be reached ({reason}); give a local folder"
        )
    return cached, True


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _cached(source: str, revision: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(source, "config.json", revision=revision)
    return Path(file).parent.name if isinstance(file, str) else None


def _refusal(source: str, revision: str, error: Exception) -> str | None:
    """Why the hub does not give a model, if it was the hub that said no."""
    from huggingface_hub import constants, errors, get_token

    page = f"{constants.ENDPOINT}/{source}"
    token = "the token in use may not read it" if get_token() else "no token is set"
    answered = getattr(getattr(error, "response", None), "status_code", 0)
    if isinstance(error, errors.GatedRepoError):
        return f"{source} is gated, and {token}; ask for access at {page}, then: hf auth login"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"the hub has no public model {source} (it answered {answered}); if it is private: "
            f"{token}; hf auth login sets one"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{source} has no revision {revision!r}; see {page}"
    if isinstance(error, errors.EntryNotFoundError):
        return f"{source} is on the hub, but has no config.json"
    if answered in (401, 403):
        return f"the hub does not let {source} be read (it answered {answered}); {token}"
    return f"the hub has no {page} (it answered 404)" if answered == 404 else None
