"""Public archives: downloaded with pooch, gone on with where they were cut, checked, and unpacked."""

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from unet2015.errors import DataSetError
from unet2015.safe_files import atomic_path, make_folder

CHUNK = 1 << 20
TIMEOUT = (20, 60)
"""Seconds to connect, and without a byte."""


class ResumingDownload:
    """A downloader for pooch that goes on where an earlier one was cut.

    What has come lies in a ``.part`` file beside the target, with the server's mark of the version
    (ETag or date), so that the halves of two versions are never joined.

    Parameters
    ----------
    part : Path
        Where the unfinished download is kept.
    """

    def __init__(self, part: Path) -> None:
        self.part, self.mark = part, part.with_name(part.name + ".version")

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download `url` to `output_file`."""
        import requests

        headers = {}
        if self.part.exists() and self.mark.exists():
            headers = {"Range": f"bytes={self.part.stat().st_size}-", "If-Range": self.mark.read_text()}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                self.forget()  # the part is no start of what the server has now
                return self(url, output_file, pooch)
            answer.raise_for_status()
            continued = answer.status_code == requests.codes.partial_content
            mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
            # A weak tag does not promise equal bytes, so such a download starts again when cut.
            if mark and not mark.startswith("W/"):
                self.mark.write_text(mark)
            else:
                self.mark.unlink(missing_ok=True)
            done = self.part.stat().st_size if continued else 0
            length = answer.headers.get("Content-Length")
            total = None if length is None else done + int(length)
            with (
                self.part.open("ab" if continued else "wb") as file,
                tqdm(
                    total=total,
                    initial=done,
                    desc=f"download {self.part.stem}",
                    unit="B",
                    unit_scale=True,
                    disable=None,
                ) as bar,
            ):
                for block in answer.iter_content(CHUNK):
                    file.write(block)
                    bar.update(len(block))
                    done += len(block)
        if total is not None and done != total:
            raise requests.ConnectionError(f"{done} of {total} bytes came")
        shutil.move(self.part, output_file)
        self.forget()
        return None

    def forget(self) -> None:
        """Remove what is left of an unfinished download."""
        self.part.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)


def fetch(url: str, folder: Path, sha256: str | None = None) -> Path:
    """Download an archive into `folder` unless it is there; return its path.

    Parameters
    ----------
    url : str
        Of the archive.
    folder : Path
        Where it is kept.
    sha256 : str, optional
        Of the archive; without it only its contents can be checked.

    Raises
    ------
    DataSetError
        The server cannot be reached or does not have it, or the checksum differs.
    """
    import pooch
    import requests

    name = url.rsplit("/", 1)[-1]
    make_folder(folder)
    known = None if sha256 is None else f"sha256:{sha256}"
    try:
        return Path(
            pooch.retrieve(
                url, known, fname=name, path=folder, downloader=ResumingDownload(folder / f"{name}.part")
            )
        )
    except (requests.RequestException, OSError) as error:
        raise DataSetError(
            f"{url}: cannot download: {error}; the same command goes on from what has come, or download it "
            "by hand and give its folder with --data"
        ) from error
    except ValueError as error:  # how pooch says that a checksum differs
        raise DataSetError(f"{url}: what came is not the archive that was expected: {error}") from error


def unpack(archive: Path, names: Iterable[str], folder: Path) -> list[Path]:
    """Take files out of a ZIP archive, each whole or not at all, whatever folder they lie in there.

    Parameters
    ----------
    archive : Path
        The archive.
    names : iterable of str
        Ends of the paths in the archive, such as ``train-volume.tif``; they become the paths below `folder`.
    folder : Path
        Where they go.

    Raises
    ------
    DataSetError
        It is no ZIP archive, is damaged, or lacks one of the files.
    """
    made = []
    try:
        with zipfile.ZipFile(archive) as zipped:
            for name in names:
                members = [entry for entry in zipped.namelist() if f"/{entry}".endswith(f"/{name}")]
                if len(members) != 1:
                    raise DataSetError(f"{archive}: expected one file {name} in it, found {len(members)}")
                target = folder / name
                make_folder(target.parent)
                with (
                    zipped.open(members[0]) as source,
                    atomic_path(target) as temporary,
                    temporary.open("wb") as file,
                ):
                    shutil.copyfileobj(source, file, CHUNK)
                made.append(target)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise DataSetError(f"{archive}: cannot be unpacked: {error}; move it away and fetch again") from error
    return made


def unpack_folder(archive: Path, prefix: str, folder: Path) -> None:
    """Take all files below ``prefix/`` out of a ZIP archive; see `unpack`."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            inside = [f"/{name}" for name in zipped.namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, OSError) as error:
        raise DataSetError(f"{archive}: cannot be unpacked: {error}; move it away and fetch again") from error
    names = [name[name.index(f"/{prefix}/") + 1 :] for name in inside if f"/{prefix}/" in name]
    if not names:
        raise DataSetError(f"{archive}: there is no folder {prefix} in it")
    if any(".." in Path(name).parts for name in names):
        raise DataSetError(f"{archive}: names files outside its own folder; not unpacked")
    unpack(archive, names, folder)
