"""The images that arguments name."""

from collections.abc import Sequence
from pathlib import Path

from cftlearn._files import check_regular
from cftlearn.cli._settings import SettingsError


def expand_paths(paths: Sequence[Path], *, skips: bool) -> list[str]:
    """List images. A folder stands for the images below it, sorted by name.

    Parameters
    ----------
    paths : sequence of Path
        Images, and folders of images.
    skips : bool
        Accept files that do not exist: the reader skips what it cannot read.

    Returns
    -------
    files : list of str
        Paths of images.

    Raises
    ------
    SettingsError
        If some paths do not exist.
    ImageFileError
        If a folder has no images.
    """
    from cftlearn._inputs import image_files

    missing = [path for path in paths if not path.exists()]
    if missing and not skips:
        raise SettingsError(
            f"The images must be files, or folders of them; {len(missing)} of "
            f"{len(paths)} do not exist, the first is {str(missing[0])!r}."
        )
    files = []
    for path in paths:
        if path.is_dir():
            files += image_files(path, "images")
        else:
            if path.exists():
                subject = f"An image must be a file; {str(path)!r}"
                check_regular(path, subject, SettingsError)
            files.append(str(path))
    return files
