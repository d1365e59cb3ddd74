"""Bad label files, and bad arguments of the loaders that read them."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cftlearn import datasets
from cftlearn.datasets import LabelTable

from .case import Case

Call = Callable[[Path], object]


def csv(content: str | bytes, **options: Any) -> Call:
    """Return a call that writes a CSV file and reads it."""

    def call(folder: Path) -> object:
        path = folder / "labels.csv"
        text = content.encode() if isinstance(content, str) else content
        path.write_bytes(text)
        return datasets.load_label_csv(path, **options)

    return call


def tags(text: str, **options: Any) -> Call:
    """Return a call that reads a CSV file with a row per label."""
    return csv(text, label_column="tag", **options)


def chexpert(*rows: str, header: str = "Path,Age,Edema") -> Call:
    """Return a call that writes a table of CheXpert and reads it."""

    def call(folder: Path) -> object:
        path = folder / "train.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return datasets.load_chexpert(path, categories=["Edema"])

    return call


def annotations(load: Callable[..., object] = datasets.load_coco, **lists: Any) -> Call:
    """Return a call that writes an annotation file, with some lists changed."""

    def call(folder: Path) -> object:
        path = folder / "instances.json"
        path.write_text(json.dumps(COCO | lists))
        return load(path)

    return call


def lvis(*images: dict[str, Any], **lists: Any) -> Call:
    """Return a call that writes an annotation file of LVIS and reads it."""
    known = {"not_exhaustive_category_ids": [], "neg_category_ids": []}
    url = "http://images/train2017/1.jpg"
    listed = [
        {"id": k, "coco_url": url, **known, **own} for k, own in enumerate(images)
    ]
    return annotations(datasets.load_lvis, images=listed, annotations=[], **lists)


def files(load: Callable[[Path], object], contents: dict[str, str | bytes]) -> Call:
    """Return a call that writes files and reads the folder that holds them."""

    def call(folder: Path) -> object:
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = content.encode() if isinstance(content, str) else content
            path.write_bytes(text)
        return load(folder)

    return call


def voc(*annotations: str, **options: Any) -> Call:
    """Return a call that writes annotations of PASCAL VOC's form and reads them."""
    return files(
        lambda folder: datasets.load_voc(
            folder, source="annotations", split="all", **options
        ),
        {f"Annotations/{k}.xml": text for k, text in enumerate(annotations)},
    )


def objects(*names: str, difficult: str = "0") -> str:
    """Return an annotation with some objects."""
    found = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult></object>"
        for name in names
    )
    return f"<annotation><filename>0.png</filename>{found}</annotation>"


def nus_wide(concepts: str, images: str, labels: str = "1\n0\n") -> Call:
    """Return a call that writes files of NUS-WIDE and reads them."""
    return files(
        lambda folder: datasets.load_nus_wide(folder, split="test"),
        {
            "Concepts81.txt": concepts,
            "ImageList/TestImagelist.txt": images,
            "Groundtruth/TrainTestLabels/Labels_sky_Test.txt": labels,
        },
    )


def vg200(images: str, index: str, **options: Any) -> Call:
    """Return a call that writes files of VG-200 and reads them."""
    return files(
        lambda folder: datasets.load_vg200(folder, split="test", **options),
        {"test_list_500.txt": images, "vg_category_200_labels_index.json": index},
    )


def vaw(*instances: dict[str, Any], attributes: str = '{"wet": 0, "red": 1}') -> Call:
    """Return a call that writes files of VAW and reads them."""
    base: dict[str, Any] = {
        "image_id": "7",
        "instance_bbox": [1, 2, 3, 4],
        "object_name": "horse",
        "positive_attributes": ["wet"],
        "negative_attributes": [],
    }
    listed = [base | {"instance_id": str(k)} | own for k, own in enumerate(instances)]
    return files(
        lambda folder: datasets.load_vaw(folder / "val.json"),
        {"val.json": json.dumps(listed), "attribute_index.json": attributes},
    )


def open_images(*rows: str, **more: str) -> Call:
    """Return a call that writes files of Open Images and reads them."""
    header = "ImageID,Source,LabelName,Confidence"

    def load(folder: Path) -> object:
        options = {name: folder / f"{name}.csv" for name in more}
        return datasets.load_open_images(folder / "labels.csv", **options)

    contents = {f"{name}.csv": text for name, text in more.items()}
    return files(load, {"labels.csv": "\n".join([header, *rows]) + "\n", **contents})


def packed_cell(folder: Path) -> object:
    """Read a small file with a cell of 17 MB."""
    path = folder / "labels.csv.gz"
    path.write_bytes(gzip.compress(b"image,x\n") + gzip.compress(b"a" * (1 << 20)) * 17)
    return datasets.load_label_csv(path)


def pipe(folder: Path) -> object:
    """Read a pipe that nobody writes into."""
    os.mkfifo(folder / "labels.csv")
    return datasets.load_label_csv(folder / "labels.csv")


COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [],
}
IMAGE = "train/patient1/study1/view1_frontal.jpg"
CAR = objects("car")

CASES = [
    Case(
        "datasets.load_label_csv",
        "an encoding that Python does not know",
        csv("image,x\na,1\n", encoding="klingon"),
        ValueError,
        "`encoding` must be one that Python knows; got 'klingon'. Files of Windows "
        'are often "cp1252", others "latin-1".',
    ),
    Case(
        "datasets.load_label_csv",
        "an encoding that makes no text",
        csv("image,x\na,1\n", encoding="hex"),
        ValueError,
        "`encoding` must be one that Python knows; got 'hex'. Files of Windows are "
        'often "cp1252", others "latin-1".',
    ),
    Case(
        "datasets.load_label_csv",
        "an encoding against the mark of UTF-8",
        csv(b"\xef\xbb\xbfimage,x\na,1\n", encoding="cp1252"),
        ValueError,
        "`encoding` must be None or 'utf-8' for a file that starts with the mark of "
        "UTF-8; got 'cp1252' for '{folder}/labels.csv'. Leave it out.",
    ),
    Case(
        "datasets.load_label_csv",
        "bytes that are not UTF-8",
        csv(b"image,x\n\xe9,1\n"),
        ValueError,
        "`path` must be text in utf-8; got the byte 0xe9 in '{folder}/labels.csv', "
        "line 2. Save the file as UTF-8, or pass its encoding where the loader takes "
        'one: encoding="cp1252" reads most files of Windows.',
    ),
    Case(
        "datasets.load_label_csv",
        "text of two bytes a character without a mark",
        csv("image,x\na,1\n".encode("utf-16-le")),
        ValueError,
        "`path` must be text without NUL characters; line 1 of '{folder}/labels.csv' "
        "has one. Delete it. If every second character is one, save the file as UTF-8, "
        'or pass encoding="utf-16-le" where the loader takes an encoding.',
    ),
    Case(
        "datasets.load_label_csv",
        "a gzip file that is cut off",
        csv(gzip.compress(b"image,x\na,1\n", mtime=0)[:-9]),
        ValueError,
        "`path` must be a whole file; '{folder}/labels.csv' ends too early. Copy or "
        "download it again.",
    ),
    Case(
        "datasets.load_label_csv",
        "a gzip file that is damaged",
        csv(gzip.compress(b"image,x\na,1\n", mtime=0)[:-8] + bytes(8)),
        ValueError,
        "`path` must be a whole file; '{folder}/labels.csv' is packed by gzip and "
        "damaged. Copy or download it again.",
    ),
    Case(
        "datasets.load_label_csv",
        "a small file with a cell of 17 MB",
        packed_cell,
        ValueError,
        "`path` must have lines of at most 16,777,216 characters; line 2 of "
        "'{folder}/labels.csv.gz' is longer. Check that this is a file of labels.",
    ),
    Case(
        "datasets.load_label_csv",
        "a pipe",
        pipe,
        ValueError,
        "`path` must be a file; '{folder}/labels.csv' is a pipe, which may never end. "
        "Copy what it holds to a file.",
    ),
    Case(
        "datasets.load_label_csv",
        "a device",
        lambda folder: datasets.load_label_csv("/dev/zero"),
        ValueError,
        "`path` must be a file; '/dev/zero' is a device, which may never end. Copy "
        "what it holds to a file.",
    ),
    Case(
        "datasets.load_label_csv",
        "a folder",
        lambda folder: datasets.load_label_csv(folder),
        IsADirectoryError,
        "`path` must be a file; got the folder '{folder}'. '{folder}' holds: nothing. "
        "Name the file.",
    ),
    Case(
        "datasets.load_label_csv",
        "a path with a NUL",
        lambda folder: datasets.load_label_csv("a\0.csv"),
        ValueError,
        "`path` must be a path without NUL characters; got 'a\\x00.csv'. Delete them.",
    ),
    Case(
        "datasets.load_label_csv",
        "a path that is too long for any file",
        lambda folder: datasets.load_label_csv("a" * 300),
        OSError,
        f"`path` must be a file; '{'a' * 300}' cannot be opened (File name too long). "
        "Check its name and its permissions.",
    ),
    Case(
        "datasets.load_label_csv",
        "a quote that does not end",
        csv('image,x\na,1\n"b,0\n'),
        ValueError,
        "`path` must be a CSV file; the row of line 3 of '{folder}/labels.csv' is not "
        "(unexpected end of data). Is a quote left open, or the file cut short?",
    ),
    Case(
        "datasets.load_label_csv",
        "text behind a closing quote",
        csv('image,x\n"a"b,1\n'),
        ValueError,
        "`path` must be a CSV file; the row of line 2 of '{folder}/labels.csv' is not "
        "(',' expected after '\"'). Is a quote left open, or the file cut short?",
    ),
    Case(
        "datasets.load_label_csv",
        "two separators",
        csv("image,x\na,1\n", separator=", "),
        ValueError,
        "`separator` must be one character, no quote and no line end, or None; got ', "
        "'.",
    ),
    Case(
        "datasets.load_label_csv",
        "a column twice",
        csv("image,x,x \na,1,0\n"),
        ValueError,
        "`path` must have every column once; '{folder}/labels.csv' has 'x' 2 times. "
        "Rename or delete one.",
    ),
    Case(
        "datasets.load_label_csv",
        "two columns that look the same",
        csv("image,H2O,H\u2082O\na,1,0\n"),
        ValueError,
        "`path` must name every column once; got 'H2O' and 'H\\u2082O', which differ "
        "only in their spelling, as numbers 2 and 3 of the header of "
        "'{folder}/labels.csv'. Remove or rename one.",
    ),
    Case(
        "datasets.load_label_csv",
        "a zero-width blank in a column's name",
        csv("image,Ede\u200bma\na,1\n"),
        ValueError,
        "`path` must name a column without characters that nobody sees; got U+200B "
        "(ZERO WIDTH SPACE) in 'Ede\\u200bma' at line 1 of '{folder}/labels.csv'. "
        "Delete that character.",
    ),
    Case(
        "datasets.load_label_csv",
        "a NUL in a path",
        csv("image,x\na\0.png,1\n"),
        ValueError,
        "`path` must be text without NUL characters; line 2 of '{folder}/labels.csv' "
        "has one. Delete it. If every second character is one, save the file as UTF-8, "
        'or pass encoding="utf-16-le" where the loader takes an encoding.',
    ),
    Case(
        "datasets.load_label_csv",
        "a control character in a path",
        csv("image,x\na\x1b[31m.png,1\n"),
        ValueError,
        "`path` must name an image without characters that nobody sees; got U+001B (a "
        "control character) in 'a\\x1b[31m.png' at line 2 of '{folder}/labels.csv'. "
        "Delete that character.",
    ),
    Case(
        "datasets.load_label_csv",
        "a path that is NaN",
        csv("image,x\na.png,1\nnan,0\n"),
        ValueError,
        "`path` must name an image in every row; column 'image' has 'nan' in line 3 of "
        "'{folder}/labels.csv'. Fill it in, or choose another column by `path_column`.",
    ),
    Case(
        "datasets.load_label_csv",
        "a file spelled in two ways",
        csv("image,x\na/b.png,1\na//b.png,0\n"),
        ValueError,
        "`path` must spell the path of an image in one way; got 'a/b.png' in line 2 of "
        "'{folder}/labels.csv' and 'a//b.png' in line 3, which are one file. Correct "
        "the cells.",
    ),
    Case(
        "datasets.load_label_csv",
        "a file in two forms of Unicode",
        csv("image,x\n\u00e9.png,1\ne\u0301.png,0\n"),
        ValueError,
        "`path` must spell the path of an image in one way; got '\\xe9.png' in line 2 "
        "of '{folder}/labels.csv' and 'e\\u0301.png' in line 3, which are one file. "
        "Correct the cells.",
    ),
    Case(
        "datasets.load_label_csv",
        "an image twice",
        csv("image,x\na.png,1\na.png ,0\n"),
        ValueError,
        "`path` must have every image once; got 'a.png' in column 'image' in line 2 "
        "and in line 3 of '{folder}/labels.csv'. Merge the rows, or choose another "
        "column by `path_column`.",
    ),
    Case(
        "datasets.load_label_csv",
        "a column of labels that is called nan",
        csv("image,nan\na.png,1\n"),
        ValueError,
        "`categories` must be given where a column of labels is called 'nan', as "
        "tables call what has no name; '{folder}/labels.csv' has one. Rename it, or "
        "name the categories.",
    ),
    Case(
        "datasets.load_label_csv",
        "the column of images as a category",
        csv("image,x\n1,1\n", categories=["image"]),
        ValueError,
        "`categories` must not name the column of images; got 'image'. Name the images "
        "by `path_column`.",
    ),
    Case(
        "datasets.load_label_csv",
        "a category named twice, in two forms of Unicode",
        csv("image,\u00e9\n1,1\n", categories=["\u00e9", "e\u0301"]),
        ValueError,
        "`categories` must name at least one category, each once, as text; got ['é', "
        "'é'].",
    ),
    Case(
        "datasets.load_label_csv",
        "a category that is NaN",
        csv("image,x\na,1\n", categories=[np.nan]),
        ValueError,
        "`categories` must name at least one category, each once, as text; got [nan].",
    ),
    Case(
        "datasets.load_label_csv",
        "two states of one value",
        csv("image,x\na,yes\n", values={"yes": "positive", "Yes": "negative"}),
        ValueError,
        "`values` must have one state per value; got two for 'Yes'. Numbers are "
        "compared by value, texts without capitals: delete one.",
    ),
    Case(
        "datasets.load_label_csv",
        "a number written 1_0",
        csv("image,x\na,1_0\n", categories=["x"]),
        ValueError,
        "`path` must hold 1 (positive), 0 (negative), -1 (uncertain), true (positive), "
        "false (negative) or nothing (blank) in column 'x'; got '1_0' in line 2 of "
        "'{folder}/labels.csv'. Correct the cell, name other `categories`, or give it "
        "a state in `values`.",
    ),
    Case(
        "datasets.load_label_csv",
        "several labels with bars between them",
        tags("image,tag\na,Edema|Mass\nb,Mass\n"),
        ValueError,
        "`label_separator` must be given where a cell has several labels; got "
        "'Edema|Mass' in column 'tag' in line 2 of '{folder}/labels.csv', and 'Mass' "
        "stands elsewhere too. Pass label_separator='|'. If it is one label, name it "
        "in `categories`.",
    ),
    Case(
        "datasets.load_label_csv",
        "several labels with semicolons between them",
        tags("image,tag\na,Edema;Mass\nb,Mass;Hernia\n"),
        ValueError,
        "`label_separator` must be given where a cell has several labels; got "
        "'Edema;Mass' in column 'tag' in line 2 of '{folder}/labels.csv', and 'Mass' "
        "stands elsewhere too. Pass label_separator=';'. If it is one label, name it "
        "in `categories`.",
    ),
    Case(
        "datasets.load_label_csv",
        "several labels with commas between them",
        tags('image,tag\na,"Edema, Mass"\nb,Mass\nc,Edema\n'),
        ValueError,
        "`label_separator` must be given where a cell has several labels; got 'Edema, "
        "Mass' in column 'tag' in line 2 of '{folder}/labels.csv', and 'Edema' stands "
        "elsewhere too. Pass label_separator=','. If it is one label, name it in "
        "`categories`.",
    ),
    Case(
        "datasets.load_label_csv",
        "several labels in a list",
        tags("image,tag\na,\"['Edema', 'Mass']\"\n"),
        ValueError,
        "`label_separator` must be given where a cell has several labels; got the list "
        "\"['Edema', 'Mass']\" in column 'tag' in line 2 of '{folder}/labels.csv'. "
        "Pass label_separator='list'. If it is one label, name it in `categories`.",
    ),
    Case(
        "datasets.load_label_csv",
        "several labels of which categories names some",
        tags("image,tag\na,Edema|Mass\n", categories=["Mass"]),
        ValueError,
        "`label_separator` must be given where a cell has several labels; got "
        "'Edema|Mass' in column 'tag' in line 2 of '{folder}/labels.csv', and 'Mass' "
        "stands elsewhere too. Pass label_separator='|'. If it is one label, name it "
        "in `categories`.",
    ),
    Case(
        "datasets.load_label_csv",
        "another separator of labels than the file's",
        tags("image,tag\na,Edema|Mass\nb,Mass\n", label_separator=";"),
        ValueError,
        "`label_separator` must be given where a cell has several labels; got "
        "'Edema|Mass' in column 'tag' in line 2 of '{folder}/labels.csv', and 'Mass' "
        "stands elsewhere too. Pass label_separator='|' in place of ';'. If it is one "
        "label, name it in `categories`.",
    ),
    Case(
        "datasets.load_label_csv",
        "a text in place of a list",
        tags("image,tag\na,['Edema']\nb,Mass\n", label_separator="list"),
        ValueError,
        "`label_separator` must be 'list' only where cells are lists such as \"['cat', "
        "'dog']\"; got 'Mass' in column 'tag' in line 3 of '{folder}/labels.csv'. "
        "Correct the cell, or pass the text that stands between labels.",
    ),
    Case(
        "datasets.load_label_csv",
        "a separator of labels that is blank",
        tags("image,tag\na,Mass\n", label_separator=""),
        ValueError,
        "`label_separator` must be the text between two labels, such as '|', or "
        "'list', or None; got ''.",
    ),
    Case(
        "datasets.load_label_csv",
        "a separator of labels without a column of labels",
        csv("image,tag\na,Mass\n", label_separator="|"),
        ValueError,
        "`label_separator` must be None without `label_column`; got '|'. Name the "
        "column of labels too.",
    ),
    Case(
        "datasets.load_label_csv",
        "a label spelled in two ways",
        tags("image,tag\na,Edema\nb,edema\n"),
        ValueError,
        "`path` must spell every label in one way; got 'Edema' in column 'tag' in line "
        "2 of '{folder}/labels.csv', and 'edema' in column 'tag' in line 3 of "
        "'{folder}/labels.csv'. Correct the cells, or name the labels in `categories`.",
    ),
    Case(
        "datasets.load_label_csv",
        "a label spelled otherwise than in categories",
        tags("image,tag\na,edema\n", categories=["Edema"]),
        ValueError,
        "`path` must spell every label as `categories` does; got 'edema' in column "
        "'tag' in line 2 of '{folder}/labels.csv', and 'Edema' in `categories`. "
        "Correct the cell, or name it in `categories` too.",
    ),
    Case(
        "datasets.load_label_csv",
        "a zero-width blank in a label",
        tags("image,tag\na,Ede\u200bma\n"),
        ValueError,
        "`path` must name a label without characters that nobody sees; got U+200B "
        "(ZERO WIDTH SPACE) in 'Ede\\u200bma' at column 'tag' in line 2 of "
        "'{folder}/labels.csv'. Delete that character.",
    ),
    Case(
        "datasets.load_label_csv",
        "a value without a label",
        tags("image,tag,says\na,nan,1\n", value_column="says"),
        ValueError,
        "`path` must name a label in every row with a value; got '1' in column 'says' "
        "and 'nan' in column 'tag' in line 2 of '{folder}/labels.csv'. Fill in the "
        "label, or delete the row; if this word is a label, name it in `categories`.",
    ),
    Case(
        "datasets.load_label_csv",
        "one column for images and labels",
        tags("tag,says\na,1\n"),
        ValueError,
        "`path_column`, `label_column` and `value_column` must be different columns of "
        "'{folder}/labels.csv'; got 'tag', 'tag' and None. Name another one.",
    ),
    Case(
        "datasets.load_chexpert",
        "a path that is NaN",
        chexpert("nan,40,1"),
        ValueError,
        "`path` must name an image in every row; column 'Path' has 'nan' in line 2 of "
        "'{folder}/train.csv'. Restore the cell as CheXpert has it.",
    ),
    Case(
        "datasets.load_chexpert",
        "an image twice",
        chexpert(f"{IMAGE},40,1", f"{IMAGE} ,40,0"),
        ValueError,
        "`path` must have every image once; got "
        "'train/patient1/study1/view1_frontal.jpg' in column 'Path' in line 2 and in "
        "line 3 of '{folder}/train.csv'. Keep one row.",
    ),
    Case(
        "datasets.load_chexpert",
        "an image spelled in two ways",
        chexpert(f"{IMAGE},40,1", f"./{IMAGE},40,0"),
        ValueError,
        "`path` must spell the path of an image in one way; got "
        "'train/patient1/study1/view1_frontal.jpg' in line 2 of '{folder}/train.csv' "
        "and './train/patient1/study1/view1_frontal.jpg' in line 3, which are one "
        "file. Correct the cells.",
    ),
    Case(
        "datasets.load_chexpert",
        "a column twice",
        chexpert(f"{IMAGE},1,0", header="Path,Edema,edema"),
        ValueError,
        "`path` must have every column once; '{folder}/train.csv' has 'Edema' and "
        "'edema'. Delete one.",
    ),
    Case(
        "datasets.load_chexpert",
        "an age that is infinite",
        chexpert(f"{IMAGE},1e999,1"),
        ValueError,
        "`path` must hold years or nothing in column 'Age'; got '1e999' in line 2 of "
        "'{folder}/train.csv'. Correct the cell.",
    ),
    Case(
        "datasets.load_coco",
        "one image file under two ids",
        annotations(
            images=[{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "./a.jpg"}]
        ),
        ValueError,
        "`path` must have every image file once; got './a.jpg' as id 2 at images[1] of "
        "'{folder}/instances.json', and, written 'a.jpg', as id 1 at images[0]: their "
        "rows may contradict each other. Give the annotations of both to one of them, "
        "and remove the other.",
    ),
    Case(
        "datasets.load_coco",
        "an id twice",
        annotations(
            images=[{"id": 1, "file_name": "a.jpg"}, {"id": 1.0, "file_name": "b.jpg"}]
        ),
        ValueError,
        "`path` must have every image once; got id 1 at images[0] and again at "
        "images[1] of '{folder}/instances.json'. Remove one.",
    ),
    Case(
        "datasets.load_coco",
        "ids of numbers and of text",
        annotations(
            images=[{"id": 1, "file_name": "a.jpg"}, {"id": "2", "file_name": "b.jpg"}]
        ),
        ValueError,
        "`path` must have either numbers or text as the ids of its image list; "
        "'{folder}/instances.json' has both. Write all ids as numbers, or all as text.",
    ),
    Case(
        "datasets.load_coco",
        "ids of text in one list, of numbers in the other",
        annotations(annotations=[{"image_id": "1", "category_id": 1}]),
        ValueError,
        "`path` must have annotations of its own images and categories; got image_id "
        "'1', which it does not list, at annotations[0] of '{folder}/instances.json' "
        "(1 annotations are like this). It lists the image 1: write all ids as "
        "numbers, or all as text.",
    ),
    Case(
        "datasets.load_coco",
        "an id that is a list",
        annotations(images=[{"id": [1], "file_name": "a.jpg"}]),
        ValueError,
        "`path` must have a whole number or text as 'id'; got [1] at images[0] of "
        "'{folder}/instances.json'. Correct the file, or download it again.",
    ),
    Case(
        "datasets.load_coco",
        "a category twice",
        annotations(categories=[{"id": 1, "name": "cat"}, {"id": 2, "name": " cat"}]),
        ValueError,
        "`path` must have every category once; got name 'cat' at categories[0] and "
        "again at categories[1] of '{folder}/instances.json'. Remove or rename one.",
    ),
    Case(
        "datasets.load_coco",
        "two categories that look the same",
        annotations(
            categories=[{"id": 1, "name": "H2O"}, {"id": 2, "name": "H\u2082O"}]
        ),
        ValueError,
        "`path` must name every category once; got 'H2O' and 'H\\u2082O', which differ "
        "only in their spelling, as numbers 1 and 2 of the categories of "
        "'{folder}/instances.json'. Remove or rename one.",
    ),
    Case(
        "datasets.load_coco",
        "a category of others",
        annotations(
            categories=[
                {"id": 1, "name": "a"},
                {"id": 2, "name": "b"},
                {"id": 3, "name": "a|b"},
            ]
        ),
        ValueError,
        "`path` must have one name in each category; got 'a|b', whose parts are other "
        "categories of '{folder}/instances.json'. Give its annotations to them, and "
        "remove it.",
    ),
    Case(
        "datasets.load_coco",
        "a category that is nan",
        annotations(categories=[{"id": 1, "name": "nan"}]),
        ValueError,
        "`path` must name a category; got 'nan' at categories[0] of "
        "'{folder}/instances.json'. Write its name there, or remove it.",
    ),
    Case(
        "datasets.load_coco",
        "a NUL in a path",
        annotations(images=[{"id": 1, "file_name": "a\0.jpg"}]),
        ValueError,
        "`path` must name an image without characters that nobody sees; got U+0000 (a "
        "control character) in 'a\\x00.jpg' at images[0] of '{folder}/instances.json'. "
        "Delete that character.",
    ),
    Case(
        "datasets.load_coco",
        "a synset twice",
        annotations(
            categories=[
                {"id": 1, "name": "cat", "synset": "cat.n.01"},
                {"id": 2, "name": "kitten", "synset": "cat.n.01"},
            ]
        ),
        ValueError,
        "`path` must have every synset once; got 'cat.n.01' of 'cat' again as that of "
        "'kitten' at categories[1] of '{folder}/instances.json'. Merge the two, or "
        "correct one.",
    ),
    Case(
        "datasets.load_coco",
        "a key twice in an object",
        files(
            lambda folder: datasets.load_coco(folder / "a.json"),
            {"a.json": '{"images": [{"id": 1, "id": 2}]}'},
        ),
        ValueError,
        "`path` must be a JSON file with values that can be read; got the key 'id' "
        "twice in one object near character 12 of '{folder}/a.json'. Delete one of "
        "them.",
    ),
    Case(
        "datasets.load_coco",
        "lists in lists without end",
        files(
            lambda folder: datasets.load_coco(folder / "a.json"),
            {"a.json": '{"images": ' + "[" * 100_000},
        ),
        ValueError,
        "`path` must be a JSON file with values that can be read; got lists or objects "
        "nested too deeply near character 12 of '{folder}/a.json'. Check that this is "
        "the right file.",
    ),
    Case(
        "datasets.load_coco",
        "a number of 5,000 digits",
        files(
            lambda folder: datasets.load_coco(folder / "a.json"),
            {"a.json": '{"images": [' + "9" * 5_000 + "]}"},
        ),
        ValueError,
        "`path` must be a JSON file with values that can be read; got a number of too "
        "many digits near character 12 of '{folder}/a.json'. Check that this is the "
        "right file.",
    ),
    Case(
        "datasets.load_lvis",
        "one image file under two ids",
        lvis({}, {}),
        ValueError,
        "`path` must have every image file once; got 'train2017/1.jpg' as id 1 at "
        "images[1] of '{folder}/instances.json', and as id 0 at images[0]: their rows "
        "may contradict each other. Give the annotations of both to one of them, and "
        "remove the other.",
    ),
    Case(
        "datasets.load_lvis",
        "a category that is not listed",
        lvis({"neg_category_ids": [5]}),
        ValueError,
        "`path` must name its own categories in 'neg_category_ids'; got 5 at images[0] "
        "of '{folder}/instances.json', which is not the id of a category there. Remove "
        "it, or add the missing category.",
    ),
    Case(
        "datasets.load_voc",
        "an object of another category",
        voc(objects("helmet")),
        ValueError,
        "`path` must have objects of VOC's twenty categories in its annotations; got "
        "'helmet' in '{folder}/Annotations/0.xml'. Rename or remove it. If the "
        'categories are your own, pass categories="found", or their names. Names '
        "here that are not VOC's: 'helmet'.",
    ),
    Case(
        "datasets.load_voc",
        "a category in two spellings",
        voc(objects("helmet", "Helmet"), categories="found"),
        ValueError,
        "`path` must spell every category in one way; got 'Helmet' in "
        "'{folder}/Annotations/0.xml' and 'helmet' in '{folder}/Annotations/0.xml'. "
        "Rename one, or name the categories in `categories`.",
    ),
    Case(
        "datasets.load_voc",
        "a category spelled otherwise than in categories",
        voc(objects("helmet", "Helmet"), categories=["helmet"]),
        ValueError,
        "`path` must spell every category as `categories` does; got 'Helmet' in "
        "'{folder}/Annotations/0.xml', and 'helmet' in `categories`. Rename the "
        "object, or name it in `categories` too.",
    ),
    Case(
        "datasets.load_voc",
        "a category that nothing has",
        voc(objects("helmet"), categories=["helmut"]),
        ValueError,
        "`categories` must name categories that VOC or an annotation has; got "
        "'helmut'. Annotations have: 'helmet'.",
    ),
    Case(
        "datasets.load_voc",
        "an object of several categories",
        voc(objects("a", "b", "a;b"), categories="found"),
        ValueError,
        "`path` must have one name in every object; got 'a;b' in "
        "'{folder}/Annotations/0.xml', and its parts are names of other objects. Make "
        "an object of each, or name the categories in `categories`.",
    ),
    Case(
        "datasets.load_voc",
        "an object without a name",
        voc(objects(" ")),
        ValueError,
        "`path` must name every object; got '' at '{folder}/Annotations/0.xml'. Write "
        "its name there, or remove it.",
    ),
    Case(
        "datasets.load_voc",
        "a mark that is no mark",
        voc(objects("car", difficult="maybe")),
        ValueError,
        "`path` must have 0 or 1 as 'difficult' in its annotations; got 'maybe' for an "
        "object 'car' in '{folder}/Annotations/0.xml'. Correct it.",
    ),
    Case(
        "datasets.load_voc",
        "another form of XML",
        voc("<annotations><image/></annotations>"),
        ValueError,
        "`path` must have annotations with objects right below <annotation>; got "
        "<annotations> in '{folder}/Annotations/0.xml'. Export the labels in the form "
        "of PASCAL VOC.",
    ),
    Case(
        "datasets.load_voc",
        "XML that is cut off",
        voc(CAR[:60]),
        ValueError,
        "`path` must have annotations in XML; '{folder}/Annotations/0.xml' is not in "
        "line 1, column 56. Unpack VOC's archive, or export the labels, again.",
    ),
    Case(
        "datasets.load_voc",
        "entities",
        voc("<!DOCTYPE a [<!ENTITY b 'car'>]>" + objects("&b;")),
        ValueError,
        "`path` must have annotations without definitions of entities; "
        "'{folder}/Annotations/0.xml' has some. Delete them, or get the file again.",
    ),
    Case(
        "datasets.load_voc",
        "an encoding that does not exist",
        voc('<?xml version="1.0" encoding="klingon"?>' + CAR),
        ValueError,
        "`path` must have annotations in XML, in an encoding that Python knows; "
        "'{folder}/Annotations/0.xml' names another. Save it as UTF-8.",
    ),
    Case(
        "datasets.load_voc",
        "no annotation at all",
        files(
            lambda folder: datasets.load_voc(folder, source="annotations", split="all"),
            {"Annotations/readme.txt": ""},
        ),
        FileNotFoundError,
        "`path` must hold annotations; got '{folder}/Annotations' without any XML "
        "file. Export the labels in the form of PASCAL VOC there.",
    ),
    Case(
        "datasets.load_voc",
        "two files of one image",
        files(
            lambda folder: datasets.load_voc(folder, source="annotations", split="all"),
            {"Annotations/a.xml": CAR, "JPEGImages/a.png": "", "JPEGImages/a.bmp": ""},
        ),
        ValueError,
        "`path` must have one file of each image; '{folder}/JPEGImages' has a.bmp, "
        "a.png. Delete all but one.",
    ),
    Case(
        "datasets.load_nus_wide",
        "an image twice",
        nus_wide("sky\n", "a\\1.jpg\na/1.jpg\n"),
        ValueError,
        "`path` must list every image once; got 'a/1.jpg' and 'a/1.jpg' in lines 1 and "
        "2 of '{folder}/ImageList/TestImagelist.txt'. Copy or download it again.",
    ),
    Case(
        "datasets.load_nus_wide",
        "a concept twice",
        nus_wide("sky\nsky\n", "a.jpg\nb.jpg\n"),
        ValueError,
        "`path` must list every concept once; got 'sky' and 'sky' in lines 1 and 2 of "
        "'{folder}/Concepts81.txt'. Copy or download it again.",
    ),
    Case(
        "datasets.load_nus_wide",
        "two labels in a line",
        nus_wide("sky\n", "a.jpg\nb.jpg\n", "1 0\n\n0\n"),
        ValueError,
        "`path` must have a label for every image; "
        "'{folder}/Groundtruth/TrainTestLabels/Labels_sky_Test.txt' has 3 lines, "
        "'{folder}/ImageList/TestImagelist.txt' 2. Was one of them cut short, or taken "
        "from another copy?",
    ),
    Case(
        "datasets.load_vg200",
        "an image twice",
        vg200("1.jpg\n./1.jpg\n", "{}"),
        ValueError,
        "`path` must list every image once; got '1.jpg' and './1.jpg' in lines 1 and 2 "
        "of '{folder}/test_list_500.txt'. Copy or download it again.",
    ),
    Case(
        "datasets.load_vg200",
        "an image with two lists",
        vg200("1.jpg\n", '{"1.jpg": [1], "1.jpg": [2]}'),
        ValueError,
        "`path` must be JSON that can be read; "
        "'{folder}/vg_category_200_labels_index.json' has the key '1.jpg' twice in one "
        "object. Delete one of them.",
    ),
    Case(
        "datasets.load_vg200",
        "a number that is too large",
        vg200("9" * 30 + ".jpg\n", '{"' + "9" * 30 + '.jpg": [1]}'),
        ValueError,
        "`path` must list images of Visual Genome, a number of at most 18 digits each, "
        "such as 2328403.jpg; got '999999999999999999999999999999.jpg' in line 1 of "
        "'{folder}/test_list_500.txt'. Copy or download it again.",
    ),
    Case(
        "datasets.load_vaw",
        "an instance twice",
        vaw({"instance_id": 1}, {"instance_id": "1"}),
        ValueError,
        "`path` must have every instance once; instance_id 1 of instance 1 of "
        "'{folder}/val.json' came before. Was a file named twice?",
    ),
    Case(
        "datasets.load_vaw",
        "an attribute twice",
        vaw(attributes='{"wet": 0, "wet": 1}'),
        ValueError,
        "`attributes` must be JSON that can be read; '{folder}/attribute_index.json' "
        "has the key 'wet' twice in one object. Delete one of them.",
    ),
    Case(
        "datasets.load_vaw",
        "two attributes that look the same",
        vaw(attributes='{"wet": 0, "wet ": 1}'),
        ValueError,
        "`attributes` must name every attribute once; got 'wet' twice as numbers 1 and "
        "2 of '{folder}/attribute_index.json'. Remove or rename one.",
    ),
    Case(
        "datasets.load_vaw",
        "an index of lists",
        vaw(attributes='{"wet": [0]}'),
        ValueError,
        "`attributes` must be a JSON object that numbers the attributes from 0; "
        "'{folder}/attribute_index.json' is not. Use VAW's attribute_index.json.",
    ),
    Case(
        "datasets.load_vaw",
        "a box of infinite width",
        vaw({"instance_bbox": [1, 2, float("inf"), 4]}),
        ValueError,
        "`path` must have [left, top, width, height] in pixels as `instance_bbox`; got "
        "[1, 2, inf, 4] in instance 0 of '{folder}/val.json'. Correct the file, or "
        "download it again.",
    ),
    Case(
        "datasets.load_vaw",
        "an id that is too large",
        vaw({"image_id": 10**30}),
        ValueError,
        "`path` must have a whole number of at most 18 digits as `image_id`; got "
        "1000000000000000000000000000000 in instance 0 of '{folder}/val.json'. Correct "
        "the file, or download it again.",
    ),
    Case(
        "datasets.load_open_images",
        "a confidence of 0.5",
        open_images("000002b66c9c498e,verification,/m/01,0.5"),
        ValueError,
        "`path` must have rows with Confidence 0 or 1 by people: a machine's guesses "
        "and their fractions are not ground truth. Read the file annotations-human.csv "
        "or ...-annotations-human-imagelabels.csv; got '0.5' in line 2 of "
        "'{folder}/labels.csv'. Correct the row, or download the file again.",
        needs="pyarrow",
    ),
    Case(
        "datasets.load_open_images",
        "an id that is no number",
        open_images("x,verification,/m/01,1"),
        ValueError,
        "`path` must have rows of 16 hexadecimal digits as ImageID; got 'x' in line 2 "
        "of '{folder}/labels.csv'. Correct the row, or download the file again.",
        needs="pyarrow",
    ),
    Case(
        "datasets.load_open_images",
        "a row that is too long",
        open_images("000002b66c9c498e,verification,/m/01,1,1"),
        ValueError,
        "`path` must have 4 fields in every row; got 5 in line 2 of "
        "'{folder}/labels.csv': '000002b66c9c498e,verification,/m/01,1,1'. Its "
        "download or its writing may have been interrupted: get it again.",
        needs="pyarrow",
    ),
    Case(
        "datasets.load_open_images",
        "two meanings of one name",
        open_images(
            "000002b66c9c498e,verification,/m/01,1",
            descriptions="/m/01,Cat\n/m/01,Dog\n",
        ),
        ValueError,
        "`descriptions` must give every LabelName one meaning; got 'Cat' and then "
        "'Dog' for '/m/01' in line 2 of '{folder}/descriptions.csv'. Delete one of the "
        "lines.",
        needs="pyarrow",
    ),
    Case(
        "datasets.load_open_images",
        "a class twice",
        open_images("000002b66c9c498e,verification,/m/01,1", classes="/m/01\n/m/01\n"),
        ValueError,
        "`classes` must hold LabelNames like '/m/011k07', each once; got '/m/01' as "
        "number 2 of 2 lines of '{folder}/classes.csv'. class-descriptions.csv has the "
        "LabelName of each word.",
        needs="pyarrow",
    ),
    Case(
        "datasets.LabelTable.from_cells",
        "a path that is NaN",
        lambda folder: LabelTable.from_cells(
            [np.nan], ["x"], rows=[], columns=[], states=[]
        ),
        TypeError,
        "`paths` must hold text, the path of an image each; got nan as number 1. Write "
        "the names as text; leave out what has none.",
    ),
    Case(
        "datasets.LabelTable.from_cells",
        "a path with a NUL",
        lambda folder: LabelTable.from_cells(
            ["a\0"], ["x"], rows=[], columns=[], states=[]
        ),
        ValueError,
        "`paths` must hold the path of an image each, not blank and without NUL "
        "characters; got 'a\\x00' as number 1. Correct it, or leave it out.",
    ),
    Case(
        "datasets.LabelTable.from_cells",
        "a category that is blank",
        lambda folder: LabelTable.from_cells(
            ["a"], [" "], rows=[], columns=[], states=[]
        ),
        ValueError,
        "`categories` must hold the name of a category each, not blank and without NUL "
        "characters; got ' ' as number 1. Correct it, or leave it out.",
    ),
    Case(
        "datasets.LabelTable.from_cells",
        "a category twice",
        lambda folder: LabelTable.from_cells(
            ["a"], ["x", "x"], rows=[], columns=[], states=[]
        ),
        ValueError,
        "`categories` must name each category once; got 'x' more than once. Rename or "
        "merge them.",
    ),
]
