"""The process that computes for the page: results, the time limit, and what happens when it dies."""

import multiprocessing
from typing import get_args

import numpy as np
import pytest

import inpaint_zoo as iz
from inpaint_zoo.demo.task import STRATEGIES, Model, Request, Tasks
from inpaint_zoo.demo.worker import Worker
from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.strategy import Strategy

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (64, 80, 3), np.uint8)
HOLE = np.zeros((64, 80), np.bool_)
HOLE[8:56, 10:70] = True


def request(name, inside=False):
    return Request(Model(name), IMAGE, HOLE, inside)


def test_results_are_those_of_inpaint_and_a_dead_process_is_replaced():
    worker = Worker("cpu", 120)
    try:
        filled = worker(request("telea"))
        assert np.array_equal(filled.image, iz.inpaint("telea", IMAGE, HOLE))
        assert filled.seconds > 0
        with pytest.raises(ZooError, match="Unknown model 'lamma'"):
            worker(request("lamma"))
        for process in multiprocessing.active_children():
            process.kill()
            process.join()
        assert np.array_equal(worker(request("telea")).image, filled.image)
    finally:
        worker.stop()
    assert multiprocessing.active_children() == []


def test_a_job_is_stopped_when_its_time_is_over():
    worker = Worker("cpu", 0.001)
    with pytest.raises(ZooError, match=r"isnet_tiny needed more than 0\.001 seconds for 80 x 64 pixels"):
        worker(request("isnet_tiny"))
    assert multiprocessing.active_children() == []


def test_what_models_compute_on_their_way():
    tasks = Tasks("cpu")
    shown = {name: tasks(request(name, inside=True)).inside for name in ("telea", "isnet_tiny", "lgnet_tiny")}
    captions = {name: [each.caption for each in drawn] for name, drawn in shown.items()}
    assert captions == {"telea": [], "isnet_tiny": ["branches"], "lgnet_tiny": ["coarse", "local", "global"]}
    assert all(np.array_equal(each.image[~HOLE], IMAGE[~HOLE]) for each in shown["lgnet_tiny"])
    passes = tasks(request("progressive:isnet_tiny", inside=True))
    assert [each.caption for each in passes.inside][:2] == ["pass 1", "pass 2"]
    assert np.array_equal(passes.inside[-1].image, passes.image)
    captions = [each.caption for each in tasks(request("contextual_attention_tiny", inside=True)).inside]
    assert captions == ["coarse", "fine", "attention"]


def test_strategies_are_those_of_inpaint():
    assert get_args(Strategy) == STRATEGIES
    tasks = Tasks("cpu")
    image, hole = np.tile(IMAGE, (5, 3, 1)), np.zeros((320, 240), np.bool_)
    hole[40:70, 50:90] = hole[250:280, 100:150] = True
    for strategy in STRATEGIES:
        filled = tasks(Request(Model("glama_tiny"), image, hole, inside=False, strategy=strategy))
        assert np.array_equal(filled.image, iz.inpaint("glama_tiny", image, hole, strategy=strategy)), strategy
        assert filled.strategy == ("full" if strategy == "auto" else strategy)
