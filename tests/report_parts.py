"""What tests read of ``report_``."""


def n_held_out(line):
    """Return how many labels of a category were held out."""
    return line["n_held_out_positive"] + line["n_held_out_negative"]
