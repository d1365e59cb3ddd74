"""Where torch computes."""

import torch


def resolve_device(device: str) -> str:
    """Turn the parameter ``device`` into the name of a torch device.

    Parameters
    ----------
    device : str
        ``"auto"`` is a GPU where torch finds one, else the CPU; other names are
        torch's, such as ``"cpu"``, ``"cuda:1"`` or ``"mps"``.

    Returns
    -------
    device : str
        A device that torch can use.

    Raises
    ------
    ValueError
        If torch does not know the name or cannot reach the device.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        if torch.empty(0, device=device).is_meta:
            raise RuntimeError("tensors there have no values")
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"`device` must be 'auto' or a device that torch can use; got {device!r} "
            f'({reason}). Pass device="cpu" to compute without a GPU.'
        ) from error
    return device
