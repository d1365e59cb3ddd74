"""What errors say about networks that cannot be read or split."""


class ArchiveError(Exception):
    """A file is damaged, or holds what must not be unpacked or executed."""


class SplitError(ValueError):
    """A network cannot be split at its classification layer."""


def split_error(source: str, reason: str, remedy: str) -> SplitError:
    """Build the error for a network without a linear layer at its end.

    Parameters
    ----------
    source : str
        Name of the file or object.
    reason : str
        What is wrong with it, beginning with a verb.
    remedy : str
        What to do about it.

    Returns
    -------
    error : SplitError
        To be raised.
    """
    return SplitError(
        f"`path` must hold a network that ends in one linear layer; {source} {reason}. "
        f"{remedy}"
    )
