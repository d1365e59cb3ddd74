"""Exchange two folders in one step, where the system can."""

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders; at every moment both names have one.

    Parameters
    ----------
    one, other : Path
        Folders on the same file system.

    Returns
    -------
    is_done : bool
        False where the system, or the file system, cannot do it.

    Raises
    ------
    OSError
        If these two cannot be exchanged.
    """
    rename = _renameat2()
    if rename is None:
        return False
    failed = rename(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    )
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


@cache
def _renameat2() -> Any:
    """Return the function of the C library; None where it has none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return None
    number, name = ctypes.c_int, ctypes.c_char_p
    function.argtypes = [number, name, number, name, ctypes.c_uint]
    function.restype = ctypes.c_int
    return function
