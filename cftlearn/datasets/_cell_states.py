"""The state of a label that the text of a cell stands for."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.datasets._delimited import DelimitedTable
from cftlearn.datasets._names import MISSING, shown
from cftlearn.labels import LabelState

NO_STATE = 255
STANDARD_VALUES: Mapping[Any, str] = {
    1: "positive",
    0: "negative",
    -1: "uncertain",
    "true": "positive",
    "false": "negative",
}
_STATES = {state.name.lower(): int(state) for state in LabelState}


class CellStates(dict[str, int]):
    """Codes of :class:`cftlearn.labels.LabelState` by text, added as texts come.

    Case and blanks around a text do not matter, and numbers are compared by value:
    ``1``, ``1.0`` and `` 1`` are the same. Empty cells and spellings of NaN are blank
    unless a value says otherwise.

    Parameters
    ----------
    values : mapping of str or float to str
        States, ``"positive"``, ``"negative"``, ``"uncertain"`` or ``"blank"``, by
        the value that means them.
    """

    def __init__(self, values: Mapping[Any, str]) -> None:
        super().__init__()
        self._values = dict(values)
        self._by_text = dict.fromkeys(MISSING, int(LabelState.BLANK))
        self._by_number: dict[float, int] = {}
        self._given: dict[str, int] = {}
        for value, state in values.items():
            if not isinstance(state, str) or state not in _STATES:
                raise ValueError(
                    "`values` must map to 'positive', 'negative', 'uncertain' or "
                    f"'blank'; got {shown(state)} for {shown(value)}."
                )
            self._add(str(value), _STATES[state])

    def _add(self, text: str, code: int) -> None:
        number, plain = _number(text), text.strip().casefold()
        key = plain if number is None else str(number)
        if self._given.setdefault(key, code) != code:
            raise ValueError(
                f"`values` must have one state per value; got two for {shown(text)}. "
                "Numbers are compared by value, texts without capitals: delete one."
            )
        if number is None:
            self._by_text[plain] = code
        else:
            self._by_number[number] = code

    def __missing__(self, text: str) -> int:
        """Return the code of a new text, and keep it; 255 if it is not a state."""
        number, plain = _number(text), text.strip().casefold()
        if number is None:
            code = self._by_text.get(plain, NO_STATE)
        else:
            code = self._by_number.get(number, NO_STATE)
        if code != NO_STATE:
            self[text] = code
        return code

    def encode(self, cells: list[str]) -> NDArray[np.uint8]:
        """Return the codes of cells; 255 where a cell is not a state."""
        return np.frombuffer(bytes(map(self.__getitem__, cells)), dtype=np.uint8)

    def description(self) -> str:
        """Return the values that are read, for errors."""
        pairs = [f"{value} ({state})" for value, state in self._values.items()]
        return ", ".join(pairs) + " or nothing (blank)"


def encode_columns(
    table: DelimitedTable, columns: list[int], codes: CellStates, remedy: str
) -> NDArray[np.uint8]:
    """Return the states of some columns of a table.

    Parameters
    ----------
    table : DelimitedTable
        The cells.
    columns : list of int
        Which columns.
    codes : CellStates
        What cells mean.
    remedy : str
        End of the error if a cell is not a state.

    Returns
    -------
    states : ndarray of shape (n_samples, n_columns), uint8
        Codes of :class:`cftlearn.labels.LabelState`.

    Raises
    ------
    ValueError
        If a cell is not a state.
    """
    states = np.empty((len(table), len(columns)), dtype=np.uint8)
    for j, column in enumerate(columns):
        states[:, j] = codes.encode(table.columns[column])
        wrong = np.flatnonzero(states[:, j] == NO_STATE)
        if len(wrong):
            others = f" and {len(wrong) - 1:,} other cells" if len(wrong) > 1 else ""
            raise ValueError(
                f"`path` must hold {codes.description()} in column "
                f"{shown(table.header[column])}; got "
                f"{shown(table.columns[column][wrong[0]])} in "
                f"{table.where(wrong[0])}{others}. {remedy}"
            )
    return states


def _number(text: str) -> float | None:
    """Return a number, or None; NaN is None, because it is a spelling of blank."""
    if "_" in text:  # Python reads 1_0 as 10
        return None
    try:
        number = float(text.replace(",", "."))  # some write 1,0 between semicolons
    except ValueError:
        return None
    return None if math.isnan(number) else number
