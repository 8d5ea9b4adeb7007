"""The workflows for GitHub are YAML of the expected form, and all that they call is there."""

import re
import shlex
import subprocess
import sys
import tomllib

import pytest
import yaml

from tests.packaging.conftest import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


class OneKey(yaml.SafeLoader):
    """Refuses a mapping with the same key twice, of which the first would be lost."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys
        return super().construct_mapping(node, deep)


def read(file):
    # YAML 1.1 takes a bare `on` for true; GitHub does not.
    return yaml.load(re.sub(r"^on:", '"on":', file.read_text(encoding="utf-8"), flags=re.M), OneKey)


def jobs():
    found = [(file.stem, name, job) for file in FILES for name, job in read(file)["jobs"].items()]
    return [pytest.param(job, id=f"{workflow}-{name}") for workflow, name, job in found]


def commands(job):
    """Each command of a job, for each entry that its matrix includes."""
    for values in job.get("strategy", {}).get("matrix", {}).get("include", [{}]):
        for command in [step["run"] for step in job["steps"] if "run" in step]:
            for name, value in values.items():
                command = command.replace(f"${{{{ matrix.{name} }}}}", value)
            yield re.sub(r"\$\{\{.*?\}\}", "", command)


def targets():
    rules = re.findall(r"^([\w ]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    return {name for rule in rules for name in rule.split()}


def test_there_is_a_workflow_for_each_thing_to_see_to():
    assert {file.stem for file in FILES} == {"docs", "lint", "tests", "wheel"}
    for file in FILES:
        workflow = read(file)
        assert workflow.keys() >= {"name", "on", "permissions", "jobs"}
        assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("job", jobs())
def test_a_job_has_what_github_asks_for(job):
    assert isinstance(job["runs-on"], str)
    for step in job["steps"]:
        assert len(step.keys() & {"run", "uses"}) == 1
        assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])
    known = {name for entry in job.get("strategy", {}).get("matrix", {}).get("include", []) for name in entry}
    known |= set(job.get("strategy", {}).get("matrix", {})) - {"include"}
    assert set(re.findall(r"matrix\.(\w+)", yaml.dump(job))) == known


@pytest.mark.parametrize("job", jobs())
def test_what_a_job_calls_exists(job):
    for command in commands(job):
        words = shlex.split(command)
        if words[0] == "make":
            assert set(words[1:2]) <= targets(), command
        elif words[:2] == ["python", "-m"]:
            assert words[2] in ("pip", "pytest"), command
        else:
            assert (ROOT / words[words[0] == "python"]).is_file(), command
        for word in words:
            if word.startswith("tests/") or word == "constraints.txt":
                assert (ROOT / word).exists(), command
            if extras := re.fullmatch(r"\.\[(.*)\]", word):
                assert set(extras[1].split(",")) <= PROJECT["project"]["optional-dependencies"].keys()


def test_every_python_that_the_project_names_is_tested():
    matrix = read(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["linux"]["strategy"]["matrix"]
    assert f">={matrix['python'][0]}" == PROJECT["project"]["requires-python"]


def test_the_oldest_versions_are_those_of_the_project_file():
    script = [sys.executable, ROOT / ".ci" / "oldest"]
    lines = subprocess.run(script, capture_output=True, text=True, check=True).stdout.splitlines()
    core = [requirement.replace(">=", "==") for requirement in PROJECT["project"]["dependencies"]]
    assert set(core) <= set(lines)
    assert len({line.partition("==")[0] for line in lines}) == len(lines)
