"""Checkpoints: exact round trips; a hostile or damaged file runs nothing and says what is wrong."""

import json
import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import mfq
from mfq.common import checkpoint
from mfq.common.config import to_json

STATE = {
    "network": {"weight": torch.randn(3, 4), "flags": torch.tensor([True, False])},
    "optimizer": {0: {"step": torch.tensor(3.0)}, 7: [torch.arange(2), None, 0.25, "Adam", True]},
    "best": -1.5,
    "empty": {},
}


def same(left, right):
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


def test_a_state_comes_back_as_it_was(tmp_path):
    path = checkpoint.save(STATE, tmp_path / "new" / "state.safetensors")
    assert same(checkpoint.load(path), STATE)
    assert os.listdir(path.parent) == ["state.safetensors"]


def test_saving_what_cannot_be_saved_leaves_the_old_file(tmp_path):
    path = checkpoint.save(STATE, tmp_path / "state.safetensors")
    before = path.read_bytes()
    with pytest.raises(TypeError, match="/network/oops is a object"):
        checkpoint.save({"network": {"oops": object()}}, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["state.safetensors"]


class Bomb:
    """Pickled, it would write a file when loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_a_pickle_in_disguise_runs_nothing(tmp_path):
    fuse = tmp_path / "fuse"
    for number, write in enumerate((pickle.dump, torch.save)):
        path = tmp_path / f"{number}.safetensors"
        with path.open("wb") as file:
            write(Bomb(fuse), file)
        with pytest.raises(ValueError, match="damaged or no checkpoint"):
            checkpoint.load(path)
    assert not fuse.exists()


def test_a_truncated_file_says_so(tmp_path):
    path = checkpoint.save(STATE, tmp_path / "state.safetensors")
    whole = path.read_bytes()
    for length in (0, 4, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="damaged"):
            checkpoint.load(path)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (None, r"header \[\]"),
        ({"other": "{}"}, r"header \['other'\]; allowed: one of the format 'mfq-1'"),
        ({"mfq-1": "{"}, "damaged"),
        ({"mfq-1": json.dumps({"call": ["os.system", "ls"]})}, "kind 'call'"),
        ({"mfq-1": json.dumps({"tensor": "elsewhere"})}, "elsewhere"),
        ({"mfq-1": json.dumps({"dict": [[1, 2, 3]]})}, "an entry"),
        ({"mfq-1": json.dumps({"dict": [["a", 5]]})}, "a node"),
        ({"mfq-1": json.dumps({"plain": 3})}, "holds a int"),
    ],
)
def test_a_strange_header_is_named(tmp_path, header, words):
    path = tmp_path / "state.safetensors"
    save_file({"x": torch.zeros(1)}, path, header)
    with pytest.raises(ValueError, match=words):
        checkpoint.load(path)


def test_equal_states_give_equal_files(tmp_path):
    paths = [checkpoint.save(STATE, tmp_path / f"{k}.safetensors") for k in range(8)]
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        checkpoint.load(tmp_path / "none.safetensors")


def test_numpy_scalars_are_saved_as_plain_numbers(tmp_path):
    # Options may be numpy integers: the checks of arguments accept them.
    state = checkpoint.load(
        checkpoint.save({"n": np.int64(3), "x": np.float32(0.5)}, tmp_path / "a")
    )
    assert state == {"n": 3, "x": 0.5}
    assert type(state["n"]) is int
    config = mfq.QConfig(optimizer={"batch_size": np.int64(3)})
    assert '"batch_size": 3' in to_json(config, tmp_path / "config.json").read_text()
