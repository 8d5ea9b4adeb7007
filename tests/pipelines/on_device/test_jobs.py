"""Trainings that take turns on a device: as each alone, none at the cost of another, none after the time."""

import time

import numpy as np
import pytest
import torch

from pipelines.on_device import jobs as device_jobs
from pipelines.on_device.jobs import QueuedTraining, run_jobs, signature
from pipelines.on_device.trainings import draws
from unet2015.training.deform import DevicePages, draw_row
from unet2015.training.draw import draw
from unet2015.training.on_device import DeviceTraining
from unet2015.training.sampling import TileSampler

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pages():
    random = np.random.default_rng(0)
    classes = random.integers(0, 2, (2, 40, 40), dtype=np.uint8)
    classes[0, :9] = 255
    images = random.standard_normal((2, 1, 40, 40)).astype(np.float32)
    return DevicePages(images, classes, np.where(classes == 255, 0, 1).astype(np.float32))


@pytest.fixture
def make(small_settings, pages):
    """Make a job; what it learned goes into `make.weights` by its name."""

    def job(name, wrong=None, **rule):
        settings = small_settings(seed=len(name), optimisation=rule, network={"dropout": 0.0})

        def given():
            if wrong == "pages":
                raise OSError("no such page")
            return pages

        def finish(training):
            if wrong == "finish":
                raise ValueError("no such measure")
            job.weights[name] = training.weights()
            job.trainings.append(training)

        return QueuedTraining(name, settings, given, finish)

    job.weights, job.trainings = {}, []
    return job


def run(jobs, slots=2, until=None):
    failures = []
    later = time.monotonic() + 1000 if until is None else until
    done = run_jobs(jobs, CPU, slots, later, lambda job, error: failures.append((job.name, str(error))))
    return done, failures


def test_jobs_give_what_each_gives_alone_and_share_trainings(make, monkeypatch):
    made = []
    original = DeviceTraining.__init__

    def counted(self, *given):
        made.append(given)
        original(self, *given)

    rules = {"a": {}, "bb": {"learning_rate": 3e-3}, "ccc": {"optimizer": "adam"}, "dddd": {"steps": 5}}
    with monkeypatch.context() as patch:
        patch.setattr(DeviceTraining, "__init__", counted)
        done, failures = run([make(name, **rule) for name, rule in rules.items()], slots=1)
    assert (done, failures) == (4, [])
    assert len(made) == 2  # one for sgd, in turn for three, and one for adam
    assert make.trainings[0] is make.trainings[1] is make.trainings[3]
    together = dict(make.weights)
    for name, rule in rules.items():
        run([make(name, **rule)])
        for key, value in make.weights[name].items():
            assert torch.equal(value, together[name][key])


def test_side_by_side_gives_the_same(make):
    names = ["a", "bb", "ccc"]
    assert run([make(name, steps=40) for name in names], slots=3)[0] == 3  # several chunks each
    together = dict(make.weights)
    assert run([make(name, steps=40) for name in names], slots=1)[0] == 3
    for name in names:
        assert all(torch.equal(value, together[name][key]) for key, value in make.weights[name].items())


@pytest.mark.parametrize("wrong", ["pages", "finish"])
@pytest.mark.parametrize("slots", [1, 3])
def test_a_job_that_fails_does_not_cost_the_others(wrong, slots, make):
    done, failures = run([make("a"), make("bb", wrong), make("ccc")], slots)
    assert done == 2
    assert list(make.weights) == ["a", "ccc"]
    (failure,) = failures
    assert failure[0] == "bb"


def test_none_begins_after_the_time(make, monkeypatch):
    assert run([make("a")], until=time.monotonic() - 1) == (0, [])
    clock = [0.0]
    monkeypatch.setattr(device_jobs.time, "monotonic", lambda: clock[0])
    first, second = make("a"), make("bb")
    finish = first.finish

    def late(training):
        clock[0] = 11.0
        finish(training)

    first.finish = late
    assert run([first, second], slots=1, until=10.0) == (1, [])
    assert list(make.weights) == ["a"]


def test_the_draws_are_those_of_the_loop(small_settings, pages):
    settings = small_settings(seed=5, optimisation={"batch": 2, "steps": 6}, sampling={"pages": "alike"})
    found = draws(settings, pages)
    assert found.shape[:2] == (6, 2)
    sampler = TileSampler.of(list(pages.classes), settings.sampling, 5, 20)
    for number, row in enumerate(found.reshape(12, -1)):
        page = sampler.page(number)
        chosen = draw(settings.augmentation, 5, number, 40, 40, centres=sampler.centres[page])
        np.testing.assert_array_equal(row, draw_row(chosen, page))
    np.testing.assert_array_equal(draws(settings, pages, 2), found[:2])


def test_draws_follow_what_is_annotated(small_settings, pages):
    """Two sets with as many pixels annotated, but others."""
    settings = small_settings(sampling={"centres": "annotated", "mirrored": 1.0})
    turned = DevicePages(pages.images, pages.classes[:, ::-1].copy(), pages.weights)
    assert not np.array_equal(draws(settings, pages), draws(settings, turned))


def test_only_what_a_recorded_step_reads_tells_two_signatures_apart(small_settings):
    shape = (2, 1, 40, 40)
    base = signature(small_settings(), shape)
    same = [{"learning_rate": 0.5}, {"steps": 99}, {"momentum": 0.5}, {"warmup": 1}, {"clip": 3.0}]
    assert all(signature(small_settings(optimisation=rule), shape) == base for rule in same)
    others = [{"batch": 2}, {"optimizer": "adam"}, {"clip": 0.0}, {"average": 0.5}, {"precision": "bfloat16"}]
    assert all(signature(small_settings(optimisation=rule), shape) != base for rule in others)
    assert signature(small_settings(augmentation={"interpolation": "bicubic"}), shape) != base
    assert signature(small_settings(network={"width": 4}), shape) != base
    assert signature(small_settings(), (3, 1, 40, 40)) != base


def test_gray_values_shift_in_deviations_of_the_images(small_settings, pages):
    settings = small_settings(augmentation={"gray_shift": 0.5})
    faint = DevicePages(pages.images, pages.classes, pages.weights, 0.1)
    one, other = draws(settings, pages), draws(settings, faint)
    assert np.abs(one[..., 8]).max() > 0.1
    np.testing.assert_allclose(other[..., 8], 0.1 * one[..., 8], rtol=1e-6)
    np.testing.assert_array_equal(np.delete(other, 8, -1), np.delete(one, 8, -1))


def test_what_else_is_to_be_done_is_done_while_trainings_run(make):
    seen = []
    jobs = [make("a"), make("bb", learning_rate=3e-3)]
    run_jobs(
        jobs,
        CPU,
        1,
        time.monotonic() + 1000,
        lambda *_: None,
        meanwhile=lambda: seen.append(set(make.weights)),
    )
    assert {"a"} in seen
    assert seen[-1] == {"a", "bb"}
