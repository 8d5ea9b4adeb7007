"""Links that leave docs/: right for who reads the Markdown in the repository, made right for the site.

A picture is copied into the site. Of any other link the words stay, with the path in the repository.
"""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

LINK = re.compile(r"(?P<picture>!?)\[(?P<words>[^\]]*)\]\((?P<target>\.\./[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
COPIED = "repository/"


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pictures that lie elsewhere in the repository."""
    root = Path(config.docs_dir).parent
    for page in list(files.documentation_pages()):
        for link in LINK.finditer(page.content_string):
            path = _path(page, link)
            if link["picture"] and files.get_file_from_path(COPIED + path) is None:
                files.append(File.generated(config, COPIED + path, abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point pictures at their copies, and turn other links that leave docs/ into words."""

    def shown(link: re.Match[str]) -> str:
        path, words = _path(page.file, link), link["words"]
        if link["picture"]:
            here = Path(page.file.src_uri).parent
            return f"![{words}]({os.path.relpath(COPIED + path, here)})"
        return words if Path(path).name in words else f"{words} (`{path}`)"

    return LINK.sub(shown, markdown)


def _path(page: File, link: re.Match[str]) -> str:
    """Return where a link of a page points, from the root of the repository."""
    return os.path.normpath(Path("docs", page.src_uri).parent / link["target"])
