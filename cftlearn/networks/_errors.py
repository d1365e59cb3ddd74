"""What errors say about networks that cannot be read or split."""


def split_error(source: str, reason: str, remedy: str) -> ValueError:
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
    error : ValueError
        To be raised.
    """
    return ValueError(
        f"`path` must hold a network that ends in one linear layer; {source} {reason}. "
        f"{remedy}"
    )
