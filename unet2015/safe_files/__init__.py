"""Files that are read and written safely.

- `reading`: only regular files are opened; digests, and changes while something is read.
- `writing`: files that are whole or absent, and never take the place of what is not ours.
- `folders`: the same for folders.
- `ownership`: which outputs are ours, by the record beside them.
- `records`: where those are, and whether somebody has changed them.
- `mounts`: what some mounts cannot do: flush, lock.
- `claims`: one process at a time for one output.
"""

from unet2015.safe_files.claims import claim, claim_outputs, claim_patiently, was_claimed
from unet2015.safe_files.folders import atomic_folder, flush_below, remove, replace_folder
from unet2015.safe_files.mounts import flush, flush_all, longest_name
from unet2015.safe_files.ownership import (
    RecordedOutput,
    check_ours,
    check_place,
    describe_earlier,
    earlier_outputs,
    input_of,
    is_of_earlier_run,
    left_by_earlier_run,
    place_for_record,
)
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
from unet2015.safe_files.records import (
    EDITED,
    RECORD,
    UNSIGNED,
    describe_damaged,
    digest_without,
    find_record,
    is_edited,
    is_signed,
    read_record,
    record_of,
    record_paths,
    records_naming,
    signed,
)
from unet2015.safe_files.writing import (
    Guard,
    atomic_path,
    hidden_prefix,
    leftovers,
    make_folder,
    move_new,
    only_over,
    temporary_name,
    write_json,
)

__all__ = [
    "EDITED",
    "RECORD",
    "UNSIGNED",
    "Guard",
    "RecordedOutput",
    "Unchanged",
    "atomic_folder",
    "atomic_path",
    "check_ours",
    "check_place",
    "check_regular",
    "claim",
    "claim_outputs",
    "claim_patiently",
    "describe_damaged",
    "describe_earlier",
    "digest_of",
    "digest_without",
    "earlier_outputs",
    "files_below",
    "find_record",
    "flush",
    "flush_all",
    "flush_below",
    "hidden_prefix",
    "input_of",
    "is_edited",
    "is_of_earlier_run",
    "is_signed",
    "left_by_earlier_run",
    "leftovers",
    "longest_name",
    "make_folder",
    "move_new",
    "only_over",
    "open_regular",
    "place_for_record",
    "read_bytes",
    "read_record",
    "read_text",
    "record_of",
    "record_paths",
    "records_naming",
    "remove",
    "replace_folder",
    "sha256",
    "signed",
    "temporary_name",
    "was_claimed",
    "write_json",
]
