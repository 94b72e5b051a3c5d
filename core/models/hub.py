"""A model of the hub, brought to a local folder; from there on there is one way of loading."""

from __future__ import annotations

from pathlib import Path

from core.experiment import InputError, shorten

_HUB_FILES = ["*.json", "*.safetensors", "tokenizer.model", "*.txt", "*.jinja"]
_HUB_DOUBLES = ["consolidated*", "original/*"]  # the same weights once more, in another layout


def download(name: str, revision: str) -> Path:
    """The folder of a model or adapter of the hub, its name the commit; downloaded if it is not in the hub's cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import disable_progress_bars

    # Its bars would stand beside the one line that an error gets.
    disable_progress_bars()
    try:
        return Path(
            snapshot_download(
                name, revision=revision, allow_patterns=_HUB_FILES, ignore_patterns=_HUB_DOUBLES, max_workers=4
            )
        )
    except GatedRepoError:
        message = f"{name!r} is gated: ask for access on its page, then set HF_TOKEN to a token of that account"
    except RepositoryNotFoundError:
        message = f"the hub has no model {name!r} that this token may read; check the name, or set HF_TOKEN"
    except RevisionNotFoundError:
        message = f"{name!r} has no revision {revision!r}; give a branch, tag or commit of it"
    except HFValidationError as error:
        message = f"{name!r} is no name of a model: {shorten(str(error), 100)}"
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        # What the hub answered, where it did, is in the chain.
        message = _refused(name, error.__cause__) or (
            f"{name!r} is not on this machine and the hub cannot be reached; connect, or name local folders "
            "(--base and --instruct on the command line, REPHRASE_PAIRS in the app)"
        )
    except Exception as error:  # the hub's HTTP library has errors of its own
        message = _refused(name, error) or (
            f"the download of {name!r} broke off ({type(error).__name__}: {shorten(str(error), 80)}); "
            "what has come is kept, try again"
        )
    raise InputError(message, "pair")


def _refused(name: str, error: BaseException | None) -> str | None:
    """What to say of an answer of the hub's that is an error; None where there was no answer."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None:
        return None
    remedy = {
        401: "set HF_TOKEN to a valid token, or unset it",
        403: "this token may not read it: ask for access on its page",
        429: "too many requests: wait a while",
    }
    return f"the hub refused {name!r} with status {status}; {remedy.get(status, 'try again later')}"
