"""Methods in a toolbox that do not keep their object alive."""

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod


def weak(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls a method of an object, and does not keep it alive.

    Parameters
    ----------
    method : callable
        A bound method.

    Returns
    -------
    call : callable
        Raises ReferenceError once the object has gone.
    """
    kept: WeakMethod[Any] = WeakMethod(method)

    def call(*arguments: Any, **options: Any) -> Any:
        alive = kept()
        if alive is None:
            raise ReferenceError("The evolution that this toolbox is of has gone.")
        return alive(*arguments, **options)

    return call
