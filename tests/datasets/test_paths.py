"""Finding label files: names that differ between copies, and errors that help."""

import os
import socket
from pathlib import Path

import pytest

from cftlearn.datasets._paths import (
    as_path,
    existing_file,
    exists,
    files_of_split,
    first_existing,
    is_file,
)

FILES = {"train": [("train_1.csv",), ("data/2.csv", "2.csv")], "test": [("t.csv",)]}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("train_1.csv", "2.csv", "data/2.csv"):
        (tmp_path / name).touch()
    return tmp_path


def test_paths_are_text_or_objects(folder):
    assert as_path("a/b") == as_path(Path("a", "b")) == Path("a/b")
    with pytest.raises(TypeError, match=r"^`path` must be a path; got list\. A table"):
        as_path([folder])
    with pytest.raises(TypeError, match=r"^`classes` must be a path; got int"):
        existing_file(3, "classes")


def test_files_must_exist(folder):
    file = folder / "2.csv"
    assert existing_file(file) == existing_file(str(file)) == file
    with pytest.raises(
        FileNotFoundError, match=r"got '.*3\.csv'\. '.*' holds: 2\.csv, data, train_1"
    ):
        existing_file(folder / "3.csv")
    with pytest.raises(
        FileNotFoundError, match=r"There is no folder '.*absent' either\. "
    ):
        existing_file(folder / "absent" / "3.csv")
    with pytest.raises(
        IsADirectoryError, match=r"^`index` must be a file; got .*data'.* holds: 2\.csv"
    ):
        existing_file(folder / "data", "index")


@pytest.mark.parametrize(
    ("n_files", "end"),
    [(0, "nothing."), (8, "6.csv, 7.csv."), (9, "6.csv, 7.csv and 1 more.")],
)
def test_folders_of_many_files_are_cut(tmp_path, n_files, end):
    for number in range(n_files):
        (tmp_path / f"{number}.csv").touch()
    with pytest.raises(IsADirectoryError) as caught:
        existing_file(tmp_path)
    assert str(caught.value).endswith(f"{end} Name the file.")


def test_the_first_choice_that_exists_is_taken(folder):
    assert first_existing(folder, ["x.csv", "2.csv", "train_1.csv"], "a") == (
        folder / "2.csv"
    )
    assert first_existing(str(folder), ["data/2.csv", "2.csv"], "a") == (
        folder / "data" / "2.csv"
    )


def test_upper_and_lower_case_do_not_matter(folder):
    assert first_existing(folder, ["DATA/2.CSV"], "a") == folder / "data" / "2.csv"
    (folder / "Data").mkdir()  # both are searched, where a file system has both
    assert first_existing(folder, ["DATA/2.CSV"], "a").name == "2.csv"
    (folder / "TRAIN_1.csv").touch()
    assert first_existing(folder, ["TRAIN_1.csv"], "a").name == "TRAIN_1.csv"


def test_choices_that_are_not_there_are_named(folder):
    with pytest.raises(
        FileNotFoundError,
        match=r"must hold the labels; '.*' has none of x\.csv, data/y\.csv\. .*holds:",
    ):
        first_existing(folder, ["x.csv", "data/y.csv"], "the labels")
    with pytest.raises(FileNotFoundError, match=r"none of 2\.csv/x"):
        first_existing(folder, ["2.csv/x"], "the labels")
    with pytest.raises(NotADirectoryError, match=r"got '.*none'\. Pass .* holds x\.c"):
        first_existing(folder / "none", ["x.csv", "y.csv"], "the labels")
    with pytest.raises(TypeError, match="`path` must be a path; got int"):
        first_existing(3, ["x.csv"], "the labels")


def test_files_of_a_split_are_found_in_order(folder):
    first, second = folder / "train_1.csv", folder / "data" / "2.csv"
    assert files_of_split(folder, "train", FILES) == [first, second]
    second.unlink()
    assert files_of_split(folder, "train", FILES) == [first, folder / "2.csv"]


def test_a_file_needs_no_split(folder):
    file = folder / "2.csv"
    assert files_of_split(str(file), None, FILES) == [file]
    with pytest.raises(ValueError, match=r"`split` must be None where .* got 'train'"):
        files_of_split(file, "train", FILES)
    with pytest.raises(FileNotFoundError, match="`path` must be a file that exists"):
        files_of_split(folder / "none", None, FILES)


def test_a_folder_needs_a_split(folder):
    with pytest.raises(
        ValueError, match=r"`split` must be one of 'train', 'test' .* holds: 2\.csv"
    ):
        files_of_split(folder, None, FILES)
    with pytest.raises(FileNotFoundError, match=r"files of split='test'; .* t\.csv\."):
        files_of_split(folder, "test", FILES)


def test_pipes_devices_and_sockets_are_refused_before_they_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as open_socket:
        open_socket.bind(str(tmp_path / "socket"))
        for name in ("pipe", "link", "socket"):
            with pytest.raises(ValueError, match=rf"file; '.*{name}' is a .*, which"):
                existing_file(tmp_path / name)
            assert not is_file(tmp_path / name)
            assert exists(tmp_path / name)


def test_names_that_no_system_takes_are_refused():
    with pytest.raises(ValueError, match=r"without NUL characters; got 'a\\x00'"):
        existing_file("a\0")
    with pytest.raises(OSError, match=r"`path` must be a file; 'a+' cannot be opened"):
        existing_file("a" * 300)
    assert not exists(Path("a" * 300))


def test_links_that_lead_nowhere_are_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match=r"'.*loop' cannot be opened"):
        existing_file(tmp_path / "loop")
    (tmp_path / "broken").symlink_to("absent")
    with pytest.raises(FileNotFoundError, match="must be a file that exists"):
        existing_file(tmp_path / "broken")
