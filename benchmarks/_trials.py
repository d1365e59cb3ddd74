"""The arguments of trials by chance: how many, and the seed."""

import argparse


def trial_parser(description: str | None, n: int, what: str) -> argparse.ArgumentParser:
    """Return a parser that knows ``--n`` and ``--seed``, as all trials do.

    Parameters
    ----------
    description : str or None
        The docstring of the script, of which the first line is shown.
    n : int
        How many trials there are by default.
    what : str
        What they are.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--n", type=int, default=n, help=f"number of {what} ({n:,})")
    parser.add_argument("--seed", type=int, default=0, help="of what is random (0)")
    return parser
