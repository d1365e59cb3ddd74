"""``cftlearn info``: models of every kind, without their networks."""

import numpy as np

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble, save_model
from cftlearn.cli import main
from cftlearn.datasets import make_partial_multilabel


def test_a_model_whose_code_is_not_there(photo_model, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.delattr("cli_parts.make_network", raising=False)
    assert main(["info", str(photo_model)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("CFTClassifier\n")
    assert "module = Architecture(name='cli_parts:make_network', n_outputs=3" in out
    assert " = None" not in out
    assert "input_transform = ImageTransform(size=8," in out
    assert "classification layer: 'head'" in out
    assert "3 categories, 32 features" in out
    assert [line.split()[0] for line in out.splitlines()[-4:]] == [
        "red",
        "green",
        "blue",
        "AUC",
    ]


def test_a_fine_tuner_and_an_ensemble(tmp_path, capsys):
    X, y, _ = make_partial_multilabel(80, random_state=0)
    tuner = CategoryWiseFineTuner("proximal", random_state=0).fit(X, y)
    save_model(tuner, tmp_path / "tuner")
    assert main(["info", str(tmp_path / "tuner")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("CategoryWiseFineTuner\n")
    assert f"{y.shape[1]} categories, {X.shape[1]} features" in out
    model = CFTClassifier(fine_tuner=tuner, random_state=0).fit(X, y)
    ensemble = CFTEnsemble([("a", model), ("b", model)], prefit=True)
    save_model(ensemble.fit(X, np.nan_to_num(y)), tmp_path / "both")
    assert main(["info", str(tmp_path / "both")]) == 0
    out = capsys.readouterr().out
    assert f"a: cftlearn info {tmp_path / 'both' / 'members' / '0'}\n" in out
    assert main(["info", str(tmp_path / "both" / "members" / "0")]) == 0
    assert "CFTClassifier" in capsys.readouterr().out


def test_no_model(tmp_path, capsys):
    assert main(["info", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("cftlearn info: `path` must be a folder written by save_mod")
