"""Where torch computes, and in which half precision."""

import torch

from cftlearn.exceptions import first_line


def resolve_device(device: str) -> str:
    """Return the torch device that the parameter ``device`` names.

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
        reason = first_line(error)
        raise ValueError(
            f"`device` must be 'auto' or a device that torch can use; got {device!r} "
            f'({reason}). Pass device="cpu" to compute without a GPU.'
        ) from error
    return device


def half_precision(device: str) -> torch.dtype:
    """Return the half-precision type that a device computes in.

    bfloat16 has the range of single precision, so no gradient becomes 0 in it. float16
    is for devices that do not compute in bfloat16, or only emulate it; training then
    needs a scaled loss.

    Parameters
    ----------
    device : str
        A device that torch can use.

    Returns
    -------
    dtype : torch.dtype
        ``torch.bfloat16`` or ``torch.float16``.
    """
    kind = torch.device(device).type
    has_bfloat16 = True
    if kind == "cuda":
        with torch.cuda.device(device):  # torch answers for the current one alone
            has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    elif kind == "mps":
        has_bfloat16 = torch.backends.mps.is_macos_or_newer(14, 0)
    return torch.bfloat16 if has_bfloat16 else torch.float16


def autocast(device: str, *, enabled: bool = True) -> torch.autocast:
    """Return a context that computes a network in half precision where it is safe.

    Parameters
    ----------
    device : str
        A device that torch can use.
    enabled : bool, default=True
        False computes as without the context.

    Returns
    -------
    context : torch.autocast
        With the type of :func:`half_precision`.
    """
    kind = torch.device(device).type
    return torch.autocast(kind, half_precision(device), enabled=enabled)
