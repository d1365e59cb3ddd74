"""Every case of the catalogue of bad inputs gets the answer that is written there."""

import pkgutil
from importlib import import_module

import bad_inputs
import pytest
from bad_inputs.case import Case

MODULES = [
    import_module(f"bad_inputs.{found.name}")
    for found in pkgutil.iter_modules(bad_inputs.__path__)
    if found.name != "case"
]
CASES: list[Case] = [case for module in MODULES for case in module.CASES]


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.entry}: {case.fault}" for case in CASES]
)
def test_the_answer_to_a_bad_input(case, tmp_path):
    if case.needs:
        pytest.importorskip(case.needs)
    with pytest.raises(case.error) as caught:
        case.call(tmp_path)
    assert type(caught.value) is case.error
    assert str(caught.value) == case.message.replace("{folder}", str(tmp_path))


def test_a_fault_stands_once():
    names = [(case.entry, case.fault) for case in CASES]
    assert len(names) == len(set(names))


def test_a_name_is_public():
    """What an entry names can be imported or is a command."""
    import cftlearn

    for case in CASES:
        where = cftlearn
        if case.entry.startswith("cftlearn "):
            continue
        for part in case.entry.split("."):
            if not hasattr(where, part) and hasattr(where, "__path__"):
                import_module(f"{where.__name__}.{part}")
            where = getattr(where, part)
