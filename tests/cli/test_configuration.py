"""Configuration files: what is read, from where paths start, what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cftlearn.cli._configuration import read_settings
from cftlearn.cli._settings import SettingsError

TOML = """
output = "models/first"
seed = 3
[data]
labels = "train.csv"
where = {split = "train", fold = 1}
uncertain = {Edema = "positive"}
[network]
name = "torchvision:resnet18"
options = {zero_init_residual = true}
[image]
size = [32, 24]
[train]
max_epochs = 2
checkpoint = "state"
"""
YAML = """
output: models/first
seed: 3
data:
  labels: train.csv
  where: {split: train, fold: 1}
  uncertain: {Edema: positive}
network:
  name: torchvision:resnet18
  options: {zero_init_residual: true}
image:
  size: [32, 24]
train:
  max_epochs: 2
  checkpoint: state
"""
JSON = json.dumps(
    {
        "output": "models/first",
        "seed": 3,
        "data": {
            "labels": "train.csv",
            "where": {"split": "train", "fold": 1},
            "uncertain": {"Edema": "positive"},
        },
        "network": {
            "name": "torchvision:resnet18",
            "options": {"zero_init_residual": True},
        },
        "image": {"size": [32, 24]},
        "train": {"max_epochs": 2, "checkpoint": "state"},
    }
)


def write(folder, text, name="config.toml", encoding="utf-8"):
    path = folder / name
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [("c.toml", TOML), ("c.yaml", YAML), ("c.yml", YAML), ("c.json", JSON)],
    ids=["toml", "yaml", "yml", "json"],
)
def test_every_format_says_the_same(tmp_path, name, text):
    if text is YAML:
        pytest.importorskip("yaml", reason="the yaml extra")
    settings = read_settings(write(tmp_path, text, name))
    assert settings.output == tmp_path / "models/first"
    assert settings.seed == 3
    assert settings.data.labels == tmp_path / "train.csv"
    assert settings.data.where == {"split": "train", "fold": "1"}
    assert settings.data.uncertain == {"Edema": "positive"}
    assert settings.data.images is None
    assert settings.network.name == "torchvision:resnet18"
    assert settings.network.options == {"zero_init_residual": True}
    assert settings.image == {"size": [32, 24]}
    assert settings.train == {"max_epochs": 2, "checkpoint": tmp_path / "state"}
    assert settings.refit == {}


def test_arguments_override_a_file(tmp_path):
    path = write(tmp_path, TOML)
    given = {
        "data.labels": Path("other.csv"),
        "train.max_epochs": 9,
        "refit.solver": "ga",
        "seed": None,
    }
    settings = read_settings(path, given)
    assert settings.data.labels == Path("other.csv")
    assert settings.train["max_epochs"] == 9
    assert settings.refit == {"solver": "ga"}
    assert settings.seed == 3
    assert read_settings(path).train["max_epochs"] == 2  # nothing was changed


def test_arguments_are_checked_too():
    with pytest.raises(SettingsError, match=r"solver.*got 'gda' in the arguments"):
        read_settings(None, {"refit.solver": "gda"})


def test_a_name_that_is_no_text(tmp_path):
    pytest.importorskip("yaml", reason="the yaml extra")
    with pytest.raises(SettingsError, match="There is no setting `1`"):
        read_settings(write(tmp_path, "1: x", "c.yaml"))


def test_wrong_settings_are_found_before_torch_and_data(tmp_path):
    texts = [
        "[train]\nmax_epochs = 'two'",
        "[refit]\nsolver = 'gda'",
        "[image]\nsize = 0",
        "seed = -1",
        "[data]\nlabels = 3",
        "[network]\nname = 'torchvision:resnet18'",
        "[data]\nlabels = 'none.csv'\nfeatures = 'f'\n[network]\nname = 'x:y'",
    ]
    paths = [str(write(tmp_path, text, f"{i}.toml")) for i, text in enumerate(texts)]
    code = (
        "import sys\n"
        "from cftlearn.cli import main\n"
        "for path in sys.argv[1:]:\n"
        "    assert main(['fit', path]) == 1\n"
        "    assert 'torch' not in sys.modules, path\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *paths],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split("`")[1] for line in done.stderr.splitlines()] == [
        "train.max_epochs",
        "refit.solver",
        "size",
        "seed",
        "data.labels",
        "labels",
        "network",
    ]


def test_without_a_file_there_are_defaults():
    settings = read_settings(None)
    assert settings.data.labels is settings.output is settings.seed is None


def test_an_empty_file_says_nothing(tmp_path):
    pytest.importorskip("yaml", reason="the yaml extra")
    assert read_settings(write(tmp_path, "", "c.yaml")) == read_settings(None)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = write(tmp_path, "seed = 7", encoding="utf-8-sig")
    assert read_settings(path).seed == 7


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    path = write(tmp_path, '[data]\nlabels = "~/x.csv"')
    assert read_settings(path).data.labels == tmp_path / "home" / "x.csv"


def test_a_network_may_be_a_file_beside_the_configuration(tmp_path):
    (tmp_path / "net.pt2").touch()
    path = write(tmp_path, '[network]\nname = "net.pt2"\nweights = "DEFAULT"')
    network = read_settings(path).network
    assert (network.name, network.weights) == (str(tmp_path / "net.pt2"), "DEFAULT")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trian]\nmax_epochs = 1", r"no setting `trian` .* Did you mean `train`\?"),
        ("[data]\nlabel = 'x'", r"no setting `data.label` .*mean `data.labels`\?"),
        ("[data]\nxyz = 'x'", r"no setting `data.xyz` \(in .*\)\. There are: data\."),
        ("data = 3", r"`data` must be a section of .*; got 3\. Write \[data\]"),
        ("train = 3", r"`train` must be a section"),
        ("seed = '1'", r"`seed` must be a whole number .*; got '1' in .*config.toml"),
        ("seed = true", r"`seed` must be a whole number .*; got True"),
        ("seed = -1", r"`seed` must be a whole number in .*; got -1"),
        ("seed = 4294967295", r"`seed` must be .* 2\*\*32 - 1.*; got 4294967295"),
        ("n_jobs = 0", r"`n_jobs` must be a whole number of workers.*, or -1.* got 0"),
        ("device = 0", r"`device` must be a torch device; got 0"),
        ("[image]\nsiz = 3", r"no setting `image.siz` \(in .*toml.*`image.size`\?"),
        ("[train]\nmax_epoch = 1", r"mean `train.max_epochs`\? There are: train.acc"),
        ("[train]\nfabric = 1", r"no setting `train.fabric`"),
        ("[refit]\ncoef_init = [[1]]", r"no setting `refit.coef_init`"),
        ("[refit]\nseed = 1", r"no setting `refit.seed`"),
        ("[train]\nmax_epochs = 0", r"`train.max_epochs` must be an int .*; got 0 in "),
        ("[data]\nlabels = 1", r"`data.labels` must be the path of a label file"),
        ("[data]\nlabels = ''", r"`data.labels` must be the path of a label file"),
        ("[data]\nwhere = 'a=b'", r"`data.where` must be a table of column = 'value'"),
        ("[data]\nwhere = {a = 1.5}", r"`data.where` must be a table of column"),
        ("[data]\ncategories = 'a'", r"`data.categories` must be a list of names"),
        ("[data]\nuncertain = 1", r"`data.uncertain` must be a policy"),
        ("[network]\noptions = 1", r"`network.options` must be a table; got 1"),
        ("seed = 1\nseed 2", r"config.toml cannot be read: .*line 2"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message):
        read_settings(write(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.yaml", "data:\n  labels: [a", r"c.yaml cannot be read: (.|\n)*line 2"),
        ("c.yaml", "- 1", "must hold sections such as .data.; got a list"),
        ("c.json", "{", r"c.json cannot be read: .*line 1"),
        ("labels.csv", "path,a", "must be a .toml, .yaml or .json file.* --labels"),
    ],
)
def test_what_is_no_configuration(tmp_path, name, text, message):
    if name == "c.yaml":
        pytest.importorskip("yaml", reason="the yaml extra")
    with pytest.raises(SettingsError, match=message):
        read_settings(write(tmp_path, text, name))


def test_a_configuration_must_be_text(tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(b"seed = \xff")
    with pytest.raises(SettingsError, match="must be UTF-8 text"):
        read_settings(path)


def test_a_missing_configuration(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.toml"):
        read_settings(tmp_path / "none.toml")
