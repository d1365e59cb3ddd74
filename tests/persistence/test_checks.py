"""What a model file says is held against itself: a right digest proves little."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from model_parts import read_document, set_value, sign
from safetensors.numpy import load_file, save_file
from torch import nn

from cftlearn import load_model
from cftlearn.exceptions import ModelFormatError

GOLDEN = Path(__file__).parents[1] / "data" / "model_format_2"


def make_network():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))


@pytest.fixture
def refused(tmp_path):
    """Return a function that changes a golden model, and checks that it is refused."""

    def check(kind, match, change):
        path = Path(shutil.copytree(GOLDEN / kind, tmp_path / "model"))
        change(path)
        with pytest.raises(ModelFormatError, match=match):
            load_model(path, module=make_network if "network" in kind else None)

    return check


def table(*values, dtype="|O"):
    return {"dtype": dtype, "values": list(values)}


# ------------------------------------------------------------------------ model.json
@pytest.mark.parametrize(
    ("kind", "key", "value", "match"),
    [
        # tables
        ("features", "categories_", 7, "hold `dtype` and `values`"),
        ("features", "categories_", table("a", "a"), "every name once; got 'a'"),
        ("features", "categories_", table("a", 1), "a list of names"),
        ("features", "categories_", table("a", None), r"of type \|O; got None"),
        ("features", "categories_", table(["a", "b"]), "hold|list of names"),
        ("features", "categories_", table("a", ["b"]), "values, or pairs"),
        ("features", "categories_", table(), "at least one"),
        ("features", "categories_", table("a", "b", dtype="<U0"), "a type of texts"),
        ("features", "categories_", table("aa", "b", dtype="<U1"), "of type <U1"),
        ("features", "categories_", table("a", "b", dtype="<U99999999"), "67108864"),
        ("features", "categories_", table("a", "b", dtype="<U999999999"), "of texts"),
        ("features", "categories_", table("a", "b", dtype="M8[s]"), "a type of texts"),
        ("features", "categories_", table("a", "b", dtype="<f7"), "a type of texts"),
        ("features", "categories_", table("a", "b", dtype=["a"]), "a type of texts"),
        ("features", "classes_", table([0, 300], [0, 1], dtype="|i1"), "of type"),
        ("features", "classes_", table([0, 1], [0, 1], dtype="<f8"), "of type <f8"),
        (
            "features",
            "classes_",
            table([0.0, 1.0], [0.0, 1.0], dtype="<f8"),
            r"\[0, 1\]",
        ),
        ("features", "classes_", table([0, 1], dtype="<i8"), r"be \[0, 1\] for each"),
        (
            "features",
            "classes_",
            table([0, 1], [1, 0], dtype="<i8"),
            r"be \[0, 1\] for",
        ),
        ("features", "classes_", table(0, 1, dtype="<i8"), "pairs, for there are 2"),
        ("two_classes", "classes_", table("a", dtype="<U1"), "two classes"),
        (
            "two_classes",
            "classes_",
            table("b", "a", dtype="<U1"),
            "the lower one first",
        ),
        ("two_classes", "classes_", table("a", "a", dtype="<U1"), "two classes"),
        ("two_classes", "classes_", table("a", 1), "two classes"),
        ("features", "feature_names_in_", table("a", "b"), "the number of names"),
        ("features", "n_features_in_", 0, "a number, 1 or more; got 0"),
        ("features", "n_features_in_", True, "a number, 1 or more; got True"),
        ("features", "n_features_in_", 4.0, "a number, 1 or more; got 4.0"),
        ("fine_tuner", "n_features_in_", 10**12, "the number of names|shape"),
        # parts
        ("features", "fine_tuner_", None, "be a fitted fine-tuner; got None"),
        (
            "features",
            "fine_tuner_",
            {"class": "ProximalSolver", "params": {}},
            "fitted",
        ),
        ("features", "fine_tuner_.n_features_in_", 3, "have shape"),
        ("features", "fine_tuner_.categories_", table("x", "y"), "the category's name"),
        (
            "features",
            "fine_tuner_.features_per_category_",
            1,
            "hold what|true or false",
        ),
        ("features", "fine_tuner_.per_category", 1, "be true or false; got 1"),
        ("features", "calibrator_", None, "be there, for `calibration` is not null"),
        ("features", "calibrator_", 7, "hold a `class` and its `params`"),
        ("features", "calibrator_.categories_", table("x", "y"), "the category's name"),
        ("features", "head_", "fc", r"`files` .* must list .*network\.pt"),
        ("features", "head_", 3, "a text or null; got 3"),
        ("features", "input_shape", [4], "empty where there is no network"),
        ("features", "input_shape", "4", "a list of lengths"),
        ("network", "input_shape", [5], "the first length of `input_shape`, 5; got 4"),
        ("network", "input_shape", [-4], "a list of lengths"),
        # reports
        ("features", "fine_tuner_.report_", [], "2 records, one per category"),
        (
            "features",
            "fine_tuner_.report_.0",
            {"category": "œdème"},
            "hold category, metric, n_",
        ),
        ("features", "fine_tuner_.report_.0.n_held_out", -1, "an integer, 0 or more"),
        ("features", "fine_tuner_.report_.0.n_iter", True, "an integer, 0 or more"),
        ("features", "fine_tuner_.report_.0.status", None, "be a text; got None"),
        (
            "features",
            "fine_tuner_.report_.0.score_after",
            "x",
            "number or null; got 'x'",
        ),
        ("features", "fine_tuner_.report_.0.later", [1], r"got \[1\]"),
        ("features", "fine_tuner_.report_.0.metric", 7, "be a text; got 7"),
        (
            "features",
            "fine_tuner_.report_.0.metric",
            "accuracy",
            "hold accuracy_after, accuracy_after_high",
        ),
        ("features", "calibrator_.calibrations.0.method", 3, "a text or null; got 3"),
        # joined networks
        ("joined", "joined_network", [], "hold category_wise, n_outputs, parts"),
        ("joined", "joined_network.category_wise", 1, "true or false; got 1"),
        ("joined", "joined_network.parts", {}, "be a list of parts"),
        ("joined", "joined_network.parts.0", {"head": "2"}, "hold a width"),
        ("joined", "joined_network.parts.0.head", 2, "name of a layer; got 2"),
        ("joined", "joined_network.parts.0.width", 0, "1 or more; got 0"),
        ("joined", "joined_network.parts.0.layers", 3, "be a list; got 3"),
        (
            "joined",
            "joined_network.parts.0.layers",
            [{"name": "0"}],
            "have a name, a w",
        ),
        (
            "joined",
            "joined_network.parts.0.layers",
            [{"name": "0", "width": 5, "channel_axis": 2}],
            "channel_axis 1, -1 or null; got 2",
        ),
        # ensembles
        ("ensemble", "members", ["a", "a", "b"], "different names"),
        ("ensemble", "members", "abc", "different names"),
        ("ensemble", "members", [], "different names"),
        ("ensemble", "members", ["a", "b"], "shape"),
        ("ensemble", "choices.0.members", ["nobody"], "name members; got 'nobody'"),
        ("ensemble", "choices.0.members", [1], "a list of texts"),
        ("ensemble", "params.combine", "mean", "'rank_mean', and only there"),
        ("ensemble", "categories_", table("x", "y"), "the category's name"),
    ],
)
def test_values(refused, kind, key, value, match):
    refused(kind, match, lambda path: set_value(path, f"model.{key}", value))


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("features", "classes_"),
        ("features", "categories_"),
        ("features", "n_features_in_"),
        ("features", "head_"),
        ("features", "input_shape"),
        ("features", "fine_tuner_"),
        ("features", "calibrator_"),
        ("features", "params"),
        ("features", "class"),
        ("fine_tuner", "report_"),
        ("fine_tuner", "classes_"),
        ("fine_tuner", "n_features_in_"),
        ("ensemble", "members"),
        ("ensemble", "choices"),
        ("joined", "joined_network"),
    ],
)
def test_what_is_missing(tmp_path, kind, key):
    path = Path(shutil.copytree(GOLDEN / kind, tmp_path / "model"))
    document = read_document(path)
    del document["model"][key]
    sign(path, document)
    module = make_network if kind in ("joined", "ensemble") else None
    error = ValueError if kind == "joined" else ModelFormatError
    with pytest.raises(error, match=r"is damaged|must have the architecture"):
        load_model(path, module=module)


# ---------------------------------------------------------------------------- arrays
def change_arrays(path, **changes):
    stored = load_file(path / "arrays.safetensors")
    for name, change in changes.items():
        full = next(key for key in stored if key.split(".")[-1] == name)
        if name.startswith("curve"):
            full = "calibrator_.curves_.0"
        if change is None:
            del stored[full]
        else:
            stored[full] = np.ascontiguousarray(change(stored[full]))
    save_file(stored, path / "arrays.safetensors")
    sign(path)


def with_nan(array):
    changed = array.copy()
    changed.flat[0] = np.nan
    return changed


@pytest.mark.parametrize(
    ("kind", "name", "change", "match"),
    [
        ("fine_tuner", "coef_", with_nan, "finite numbers; got nan"),
        ("fine_tuner", "coef_init_", with_nan, "finite numbers; got nan"),
        (
            "fine_tuner",
            "intercept_init_",
            lambda a: a + np.inf,
            "finite numbers; got inf",
        ),
        ("fine_tuner", "coef_", lambda a: a.T, r"have shape \(2, 4\); got \(4, 2\)"),
        ("fine_tuner", "coef_", lambda a: a.astype("i8"), "float64 or float32"),
        ("fine_tuner", "intercept_", lambda a: a[:1], r"have shape \(2,\); got \(1,\)"),
        (
            "fine_tuner",
            "intercept_",
            lambda a: a[:, None],
            r"shape \(2,\); got \(2, 1\)",
        ),
        ("fine_tuner", "intercept_", None, "must hold `intercept_`; got none"),
        ("features", "shift_", with_nan, "finite numbers; got nan"),
        ("features", "slope_", np.zeros_like, "NaN where the curve is isotonic"),
        ("features", "threshold", lambda a: a + 1, r"lie in \[0, 1\]"),
        ("features", "threshold", lambda a: np.append(a, 0.5), "2, one per category"),
        ("features", "threshold", with_nan, "must hold finite numbers"),
        ("features", "threshold", lambda a: a.reshape(2, 1), "one or a list"),
        ("two_classes", "slope_", lambda a: -a, "must be above 0"),
        ("ensemble", "weights_", lambda a: a * 2, "sum to 1 in every category"),
        ("ensemble", "weights_", lambda a: a[:2], r"have shape \(3, 2\); got \(2, 2\)"),
        ("ensemble", "reference_", None, "'rank_mean', and only there"),
        ("ensemble", "reference_", lambda a: a[:, ::-1], "be sorted along its rows"),
        ("ensemble", "reference_", with_nan, "finite numbers"),
        ("ensemble", "reference_", lambda a: a[:, :0], r"\(3, any, 2\)"),
    ],
)
def test_arrays(refused, kind, name, change, match):
    refused(kind, match, lambda path: change_arrays(path, **{name: change}))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda a: a[:, ::-1], "hold finite corners that rise"),
        (lambda a: a / 0.0, "hold finite corners that rise"),
        (lambda a: a * [[1], [9]], r"hold probabilities in \(0, 1\)"),
        (lambda a: a[:1], r"have shape \(2, any\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_curves(refused, change, match):
    def change_curve(path):
        stored = load_file(path / "arrays.safetensors")
        name = "calibrator_.curves_.0"
        stored[name] = np.ascontiguousarray(change(stored[name]))
        save_file(stored, path / "arrays.safetensors")
        sign(path)

    refused("features", match, change_curve)


def test_a_skipped_category_may_have_no_weights_at_all(tmp_path):
    path = Path(shutil.copytree(GOLDEN / "fine_tuner", tmp_path / "model"))
    stored = load_file(path / "arrays.safetensors")
    for name in ("coef_", "intercept_"):
        stored[name][0] = np.nan
    save_file(stored, path / "arrays.safetensors")
    with pytest.raises(ModelFormatError, match="finite numbers"):
        load_model(sign(path))
    set_value(path, "model.report_.0.status", "skipped")
    assert np.isnan(load_model(path).coef_[0]).all()
    stored["coef_"][0, 0] = 1.0  # half of a vector is damage
    save_file(stored, path / "arrays.safetensors")
    with pytest.raises(ModelFormatError, match="finite numbers"):
        load_model(sign(path))
