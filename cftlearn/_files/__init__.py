"""The one place that writes files whole, claims folders and computes digests."""

from cftlearn._files._claims import claim_folder
from cftlearn._files._digests import BlockDigests, blocks_of, digest
from cftlearn._files._folders import (
    check_writable_folder,
    find_folder,
    folder_beside,
    is_being_replaced,
    replace_folder,
)
from cftlearn._files._hidden import is_hidden
from cftlearn._files._places import (
    as_path,
    check_is_file,
    check_regular,
    kind_of_mode,
    write_error,
)
from cftlearn._files._sealed import check_sealed, open_sealed
from cftlearn._files._writing import check_writable_file, open_atomically, open_new

__all__ = [
    "BlockDigests",
    "as_path",
    "blocks_of",
    "check_is_file",
    "check_regular",
    "check_sealed",
    "check_writable_file",
    "check_writable_folder",
    "claim_folder",
    "digest",
    "find_folder",
    "folder_beside",
    "is_being_replaced",
    "is_hidden",
    "kind_of_mode",
    "open_atomically",
    "open_new",
    "open_sealed",
    "replace_folder",
    "write_error",
]
