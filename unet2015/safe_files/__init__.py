"""Files that are read and written safely.

- `reading`: only regular files are opened; digests, and changes while something is read.
- `writing`: files that are whole or absent, and never take the place of what is not ours.
- `mounts`: what some mounts cannot do: flush, lock.
- `claims`: one process at a time for one output.
"""

from unet2015.safe_files.claims import claim
from unet2015.safe_files.mounts import flush
from unet2015.safe_files.reading import (
    Unchanged,
    check_regular,
    digest_of,
    files_below,
    open_regular,
    read_bytes,
    read_text,
    sha256,
)
from unet2015.safe_files.writing import (
    Guard,
    atomic_path,
    hidden_prefix,
    leftovers,
    make_folder,
    move_new,
    only_over,
    write_json,
)

__all__ = [
    "Guard",
    "Unchanged",
    "atomic_path",
    "check_regular",
    "claim",
    "digest_of",
    "files_below",
    "flush",
    "hidden_prefix",
    "leftovers",
    "make_folder",
    "move_new",
    "only_over",
    "open_regular",
    "read_bytes",
    "read_text",
    "sha256",
    "write_json",
]
