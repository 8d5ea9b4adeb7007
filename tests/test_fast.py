"""``make fast`` keeps at least one test of every promise."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PROMISES = {
    "tiled equals whole": "networks/test_tiled_equals_whole.py::test_tiled_equals_whole_in_float64",
    "the same plan gives the same bytes": (
        "tiling/test_engine.py::test_one_plan_gives_the_same_bytes_whatever_the_workers_and_the_order"
    ),
    "every pixel is written once": "tiling/test_plan.py::test_every_pixel_is_kept_once_and_in_phase",
    "memory is bounded": "tiling/test_memory.py::test_the_plan_stays_under_the_cap_or_says_what_would_do",
    "an output is whole or absent": ("images/test_writer.py::test_a_body_that_fails_leaves_what_was_there"),
    "a killed run goes on": "segmentation/test_resume.py::test_an_interrupted_image_goes_on_inside",
    "what cannot be read is an error": (
        "images/test_bad_input.py::test_an_imagej_stack_shorter_than_it_declares"
    ),
    "the other files still finish": "cli/test_segment.py::test_a_bad_file_does_not_stop_the_others",
    "nothing in a model file is executed": "models/test_model_file.py::test_a_pickle_is_never_executed",
    "axes and calibration go through": "images/test_writer.py::test_axes_and_calibration_survive",
    "objects do not depend on how they were computed": (
        "objects/test_instances.py::test_objects_are_the_connected_parts_above_the_threshold"
    ),
    "a training that learned nothing says so": (
        "test_learned.py::test_a_training_that_learned_nothing_ends_with_3"
    ),
    "a record lies beside every output": "cli/test_replay.py::test_the_same_bytes",
    "the command line and Python give the same bytes": (
        "cli/test_segment.py::test_results_are_those_of_the_python_function_with_the_axes_of_the_input"
    ),
    "resumed training equals uninterrupted training": (
        "training/test_loop.py::test_resumed_equals_uninterrupted_to_the_last_bit"
    ),
    "the network is that of Fig. 1": (
        "networks/test_unet2015.py::test_the_skips_of_the_paper_are_cropped_as_in_figure_1"
    ),
    "imports run downwards": "test_layers.py::test_imports_run_downwards_only",
}


@pytest.mark.parametrize("test", PROMISES.values(), ids=PROMISES.keys())
def test_a_test_of_every_promise_is_run_while_working(test):
    file, name = test.split("::")
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    assert not any("mark.slow" in ast.unparse(mark) for mark in function.decorator_list)
    assert not any(
        "mark.slow" in ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    )
