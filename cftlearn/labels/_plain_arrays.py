"""Arrays that are more than numbers, refused before numpy drops what they carry."""

import os
from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_NO_NUMBERS = {
    "M": "dates",
    "m": "durations",
    "U": "text",
    "S": "bytes",
    "T": "text",
    "c": "complex numbers",
    "V": "records",
}
_REMEDIES = {
    "dates": "Pass numbers, such as the days since a date: (dates - start) / "
    "numpy.timedelta64(1, 'D')",
    "durations": "Pass numbers, such as days: durations / numpy.timedelta64(1, 'D')",
    "text": "Turn text that stands for numbers into numbers with astype(float)",
    "bytes": "Turn bytes that stand for numbers into numbers with astype(float)",
    "complex numbers": "Pass real and imaginary parts as columns of their own",
    "records": "Turn records into a table with "
    "numpy.lib.recfunctions.structured_to_unstructured",
}
_NO_NUMBER_CELLS = (
    str,
    bytes,
    complex,
    np.complexfloating,
    np.datetime64,
    np.timedelta64,
)
_MISSING_TYPES = ("NoneType", "NAType", "NaTType")
_OF_TABLES = ("__array__", "__len__", "dtype")
_SINGLE = {
    (str,): "text",
    (bytes, bytearray): "bytes",
    (os.PathLike,): "a path",
}


def refuse_masked(values: Any, name: str, *, remedy: str | None = None) -> None:
    """Refuse a masked array, alone or as the rows of a list.

    Parameters
    ----------
    values : object
        What a user passed.
    name : str
        How errors call it.
    remedy : str, default=None
        What to do instead; by default, to fill the masked cells.

    Raises
    ------
    TypeError
        If it is a masked array, or a list or tuple that holds one.
    """
    masked: Any = None
    where = ""
    if isinstance(values, np.ma.MaskedArray):
        masked = values
    elif isinstance(values, (list, tuple)):
        rows = [isinstance(row, np.ma.MaskedArray) for row in values]
        if any(rows):
            at = rows.index(True)
            masked, where = values[at], f" at index {at}"
    if masked is None:
        return
    if remedy is None:
        what = f"[numpy.ma.filled(one, value) for one in {name}]" if where else ""
        remedy = (
            f"Pass {what or f'numpy.ma.filled({name}, value)'}, with the value that "
            "masked cells are to have."
        )
    n_masked, n_cells = np.count_nonzero(np.ma.getmaskarray(masked)), masked.size
    raise TypeError(
        f"`{name}` must be a plain array; got a masked array{where}, whose mask would "
        f"be dropped ({n_masked} of {n_cells} cells are masked). {remedy}"
    )


def refuse_without_rows(values: Any, name: str, *, takes_dataset: bool = False) -> None:
    """Refuse what has no rows that can be taken by their number, and more than once.

    Parameters
    ----------
    values : object
        What a user passed.
    name : str
        How errors call it.
    takes_dataset : bool, default=False
        Whether a torch Dataset may be passed here.

    Raises
    ------
    TypeError
        If it is None, a DataLoader, an iterator, a mapping or a set.
    """
    if sparse.issparse(values):  # one of its forms is a dict
        return
    kind = type(values).__name__
    if values is None:
        got, remedy = "None", "Pass an array, a frame or a list"
    elif _is_loader(values):
        got = f"a {kind}, which gives batches in an order of its own"
        remedy = (
            f"Pass the dataset of it, {name}.dataset; `batch_size` sets the batches"
            if takes_dataset
            else "Pass the arrays that its dataset is made of"
        )
    elif isinstance(values, Iterator):
        got = f"a {kind}, which gives its items once"
        remedy = f"Pass list({name})"
    elif isinstance(values, Mapping):
        got = f"a {kind}, whose items have names"
        remedy = f"Pass one item of it, or pandas.DataFrame({name}) if it holds columns"
    elif isinstance(values, Set):
        got = f"a {kind}, whose items have no order"
        remedy = "Pass a list of rows in the order of the labels"
    else:
        return
    raise TypeError(f"`{name}` must hold rows in a fixed order; got {got}. {remedy}.")


def refuse_unlike_numbers(values: Any, name: str, *, hint: str = "") -> Any:
    """Refuse a table that numpy would turn into numbers which it does not hold.

    These are masked arrays, dates, durations, text and bytes, complex numbers, records
    and objects; also in columns of a frame, and a text, path or the like alone. What is
    sparse is left to scikit-learn.

    Parameters
    ----------
    values : array-like
        What a user passed.
    name : str
        How errors call it.
    hint : str, default=""
        What to do if parts differ in shape.

    Returns
    -------
    values : array-like
        The same; a list or a tensor as an array.

    Raises
    ------
    TypeError
        If it is no table of real numbers.
    ValueError
        If rows of a list differ in length.
    """
    refuse_masked(values, name)
    refuse_without_rows(values, name)
    _refuse_single(values, name)
    if sparse.issparse(values):
        return values
    if hasattr(values, "collect") and not hasattr(values, "shape"):
        raise TypeError(
            f"`{name}` must be a table in memory; got {type(values).__name__}, whose "
            f"cells are not computed yet. Pass {name}.collect()."
        )
    is_list = isinstance(values, (list, tuple)) and not any(map(_is_tensor, values))
    is_single = not any(hasattr(values, own) for own in _OF_TABLES)
    if is_list or is_single or _is_tensor(values):
        values = _as_array(values, name, hint)
    for column, array in _columns_to_judge(values):
        where = "" if column is None else f" in column {column!r}"
        kind = _NO_NUMBERS.get(array.dtype.kind)
        if kind is not None:
            _refuse(name, kind, f"dtype {array.dtype}{where}")
        if array.dtype.kind == "O":
            _refuse_objects(array, name, where)
    return values


def read_numbers(values: Any, name: str, *, hint: str = "") -> NDArray[Any]:
    """Read an array of real numbers; float32 stays, all else becomes float64.

    Parameters
    ----------
    values : array-like
        What a user passed; or a tensor.
    name : str
        How errors call it.
    hint : str, default=""
        What to do if parts differ in shape.

    Returns
    -------
    array : ndarray, float32 or float64
        NaN where a cell is missing.

    Raises
    ------
    TypeError
        If it holds anything but real numbers.
    ValueError
        If parts differ in shape.
    """
    if sparse.issparse(values):
        raise TypeError(
            f"`{name}` must be dense; got a sparse matrix. Pass {name}.toarray()."
        )
    plain = refuse_unlike_numbers(values, name, hint=hint)
    array = _as_array(plain, name, hint)
    if array.dtype == np.float32:
        return array
    if array.dtype.kind == "O":
        _refuse_objects(array, name, "")
        missing = [type(cell).__name__ in _MISSING_TYPES for cell in array.flat]
        array = np.where(np.reshape(missing, array.shape), np.nan, array)
    return array.astype(np.float64)


def refuse_records(values: Any, name: str) -> None:
    """Refuse a structured array, which numpy takes for a list of objects."""
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind == "V":
        _refuse(name, "records", f"dtype {dtype}")


def _refuse_single(values: Any, name: str) -> None:
    """Refuse text, bytes and paths alone, of which numpy makes one cell or numbers."""
    for kinds, what in _SINGLE.items():
        if isinstance(values, kinds) and not isinstance(values, np.generic):
            raise TypeError(
                f"`{name}` must hold real numbers; got {what} ({values!r:.80}). Pass "
                "an array, a frame or a list; if the numbers are in a file, read it "
                "first, with numpy.load or pandas.read_csv for example."
            )


def _columns_to_judge(values: Any) -> Iterator[tuple[object | None, NDArray[Any]]]:
    """Return the parts of a table whose type alone does not make them numbers."""
    if hasattr(values, "iloc") and hasattr(values, "columns"):
        for j, dtype in enumerate(values.dtypes):
            if getattr(dtype, "kind", "O") not in "biuf":
                yield values.columns[j], _column_as_array(values.iloc[:, j])
    elif hasattr(values, "iloc"):
        if getattr(values.dtype, "kind", "O") not in "biuf":
            yield None, _column_as_array(values)
    elif hasattr(values, "column_names") or hasattr(values, "get_columns"):
        own = hasattr(values, "get_columns")  # polars; else pyarrow
        columns = values.get_columns() if own else values.columns
        names = values.columns if own else values.column_names
        for name, column in zip(names, columns, strict=True):
            if np.asarray(column[:0]).dtype.kind not in "biuf":
                yield name, np.asarray(column)
    elif (kind := _kind_of(values)) not in "biuf":
        # What is stored in a file need not be an array; its type says enough.
        yield None, np.asarray(values) if kind == "O" else np.empty(0, values.dtype)


def _kind_of(values: Any) -> str:
    """Return the letter of numpy's type; that of floats for what has no such type."""
    dtype = getattr(values, "dtype", None)
    return dtype.kind if isinstance(dtype, np.dtype) else "f"


def _column_as_array(series: Any) -> NDArray[Any]:
    kind = getattr(series.dtype, "kind", "O")
    if kind in "Mm":  # with a time zone, too
        return np.empty(0, dtype=f"{kind}8[s]")
    return np.empty(0, complex) if kind == "c" else np.asarray(series.astype(object))


def _as_array(values: Any, name: str, hint: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be a rectangular table; got parts of different shapes. "
            f"{hint or 'Give all rows the same length.'}"
        ) from error
    except (TypeError, RuntimeError) as error:  # a tensor that cannot be an array
        raise TypeError(
            f"`{name}` must hold numbers that numpy can read; got "
            f"{type(values).__name__}. Of a tensor, pass "
            f"{name}.detach().cpu().float().numpy(), of a sparse one its to_dense()."
        ) from error


def _is_loader(values: Any) -> bool:
    """Return whether it is a DataLoader of torch, without importing torch."""
    return any(
        kind.__name__ == "DataLoader" and kind.__module__.startswith("torch.utils.data")
        for kind in type(values).__mro__
    )


def _is_tensor(values: Any) -> bool:
    return any(
        kind.__module__.split(".")[0] == "torch" for kind in type(values).__mro__
    )


def _refuse(name: str, kind: str, what: str) -> None:
    lead = "Complex data not supported: " if kind.startswith("complex") else ""
    error = ValueError if lead else TypeError
    raise error(
        f"{lead}`{name}` must hold real numbers; got {kind} ({what}). "
        f"{_REMEDIES[kind]}."
    )


def _refuse_objects(array: NDArray[Any], name: str, where: str) -> None:
    """Refuse cells of an array of objects that are no real numbers."""
    cells = list(array.flat)
    unexpected = {kind for kind in set(map(type, cells)) if not _is_number(kind)}
    if not unexpected:
        return
    at = next(i for i, cell in enumerate(cells) if type(cell) in unexpected)
    index = tuple(int(i) for i in np.unravel_index(at, array.shape))
    if not index:
        raise TypeError(
            f"`{name}` must hold real numbers; got {type(cells[at]).__name__}. Pass an "
            "array, a frame or a list."
        )
    row = f" in row {index[0]}"
    column = f", column {index[1]}" if len(index) > 1 else where
    # The middle sentence has the words that scikit-learn's own checks look for.
    raise TypeError(
        f"`{name}` must hold real numbers; got {cells[at]!r:.80} of type "
        f"{type(cells[at]).__name__}{row}{column}. Each cell of this argument must "
        "be no string or other object, but a number. Convert it, or leave its column "
        "out."
    )


def _is_number(kind: type) -> bool:
    if issubclass(kind, _NO_NUMBER_CELLS):
        return False
    return kind.__name__ in _MISSING_TYPES or hasattr(kind, "__float__")


def check_flag(value: Any, name: str) -> None:
    """Refuse what is no truth value, of which text such as "no" would be true.

    Parameters
    ----------
    value : object
        A parameter of a method that is True or False.
    name : str
        Its name.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`{name}` must be True or False; got {value!r}.")
