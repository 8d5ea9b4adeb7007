"""Links between documents lead somewhere, and each block says what language it is in."""

import re
import tomllib

import pytest
import yaml

import unet2015
from tests.docs.markdown import DOCUMENTS, ROOT, blocks, headings, links, prose, slug

LANGUAGES = {"sh", "python", "toml", "text", "diff", "json", "yaml"}
EACH = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@EACH
def test_links_lead_somewhere(document):
    broken = []
    for target in links(document):
        if re.match("[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (document.parent / path).resolve() if path else document
        anchors = {slug(line) for line in headings(place)} if anchor and place.suffix == ".md" else {anchor}
        if not place.exists() or ROOT not in (place, *place.parents) or anchor not in anchors:
            broken.append(target)
    assert broken == []


@EACH
def test_headings_have_anchors_of_their_own(document):
    if document.name == "CHANGELOG.md":  # each version has the same ones
        return
    found = [slug(line) for line in headings(document)]
    assert len(set(found)) == len(found)
    assert len([line for line in document.read_text().splitlines() if line.startswith("# ")]) >= 1


@EACH
def test_each_block_says_its_language(document):
    assert {block.language for block in blocks(document)} <= LANGUAGES


@EACH
def test_paths_that_are_named_exist(document):
    named = re.findall(r"`((?:unet2015|pipelines|benchmarks|tests|docs)/[\w./-]+)`", prose(document))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_architecture_names_each_room():
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {
        path.name + "/" * path.is_dir() for path in (ROOT / "unet2015").iterdir() if path.name[0] not in "_."
    }
    assert {room for room in rooms - {"py.typed"} if f"`{room}`" not in text} == set()


def test_each_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text()
    pages = re.findall(r": (\S+\.md)$", text, re.MULTILINE)
    assert sorted(pages) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_the_python_page_has_each_public_name():
    described = set(
        re.findall(r"^::: unet2015\.(\S+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    )
    metrics = {f"metrics.{name}" for name in unet2015.metrics.__all__}
    assert described == {name for name in unet2015.__all__ if name != "__version__"} | metrics


def test_each_extra_is_in_the_quick_start():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    said = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "docs" / "quickstart.md").read_text(), re.MULTILINE)
    assert sorted(said) == sorted(project["optional-dependencies"])


def test_the_readme_is_a_front_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110


# Keys of the Citation File Format 1.2.0 (https://doi.org/10.5281/zenodo.5171937), as far as they are used.
CITED = {"cff-version", "message", "title", "abstract", "type", "version", "license", "authors", "keywords"}
CITED |= {"references", "date-released", "doi", "repository-code", "url", "preferred-citation"}
REFERENCE = {"type", "title", "authors", "collection-title", "conference", "year", "start", "end", "doi"}
PERSON = {"family-names", "given-names", "name-particle", "affiliation", "orcid", "email", "alias"}
ENTITY = {"name", "website", "email", "city", "country", "alias"}


def test_the_citation_is_of_the_schema_and_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"authors", "cff-version", "message", "title"} <= set(cited) <= CITED
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert str(cited["version"]) == unet2015.__version__ == project.get("version", unet2015.__version__)
    assert cited["license"] == project["license"]
    people = list(cited["authors"])
    for reference in cited["references"]:
        assert {"authors", "type", "title"} <= set(reference) <= REFERENCE
        people += reference["authors"]
    for person in people:
        assert set(person) <= PERSON or set(person) <= ENTITY
    assert "10.1007/978-3-319-24574-4_28" in [reference.get("doi") for reference in cited["references"]]
