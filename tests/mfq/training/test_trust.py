"""Loading a file imports and calls nothing that the file names, unless that is trusted."""

import sys

import pytest

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.common import checkpoint
from mfq.envs import lookup

GAME = {"num_agents": 4}
CODE = "import pathlib\npathlib.Path('called').write_text('x')\ndef make(*a, **k): pass\n"


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """The name of a module, in the current folder, that leaves a file behind when it is imported."""
    name = f"evil_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    yield name
    assert not (tmp_path / "called").exists()
    assert name not in sys.modules


@pytest.mark.parametrize("suffix", ["make", "make-v0"])
@pytest.mark.parametrize("algo", ["mfq", "mfac"])
@pytest.mark.parametrize("place", ["env", "graph", "algo", "agent", "actor_critic"])
def test_what_a_file_names_is_not_imported(place, algo, suffix, evil, tmp_path):
    options = {"env_options": GAME, "quiet": True}
    runner = mfq.Runner("gaussian_squeeze_v0", algo, options)
    path = runner.save(tmp_path / "run.safetensors")
    state = checkpoint.load(path)
    name = f"{evil}:{suffix}"
    if place in ("agent", "actor_critic"):
        state["config"][place] = {**state["config"]["agent"], "mean_field": name}
    else:
        state["config"][place] = name
    checkpoint.save(state, path)
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(**GAME))
    ignored = place == "actor_critic" and algo == "mfq"
    loads = {"runner": mfq.Runner.load, "player": lambda file: mfq.load_player(file, view)}
    for kind, load in loads.items():
        if ignored or (kind == "player" and place in ("env", "graph")):
            load(path)
        else:
            with pytest.raises(ValueError, match=rf"trust=\['{name}'\]"):
                load(path)


def test_a_given_name_is_trusted_from_then_on(tmp_path):
    options = {
        "env_options": GAME,
        "quiet": True,
        "agent": {"mean_field": "tests.fakes.mean_fields:Counts"},
    }
    path = mfq.Runner("gaussian_squeeze_v0", config=options).save(tmp_path / "run.safetensors")
    assert mfq.Runner.load(path).agent.mean_field.width == 10


def test_a_files_folder_is_not_written_to(tmp_path):
    out = tmp_path / "theirs"
    runner = mfq.Runner(
        "gaussian_squeeze_v0", config={"env_options": GAME, "quiet": True, "out": str(out)}
    )
    path = runner.save(tmp_path / "run.safetensors")
    again = mfq.Runner.load(path, steps=2)
    again.train()
    assert again.config.out is None
    assert not out.exists()


@pytest.mark.parametrize(
    ("names", "error"), [("a:b", TypeError), (["foo"], ValueError), ([":x"], ValueError)]
)
def test_what_is_no_list_of_names_is_named(names, error):
    with pytest.raises(error, match="allowed"):
        lookup.trust(names)


def test_an_option_that_names_code_is_asked_about(tmp_path):
    """Such as the ``env_id`` of shimmy's environments, which import the module before the colon."""
    options = {"env_options": {"max_episode_steps": 5}, "steps": 2, "quiet": True}
    runner = mfq.Runner("CartPole-v1", config={**options, "evaluation": {"every": 0}})
    path = runner.save(tmp_path / "a.safetensors")
    state = checkpoint.load(path)
    state["config"]["env_options"] = {"env_id": "evil:Foo-v0"}
    checkpoint.save(state, path)
    with pytest.raises(
        ValueError, match=r"env_options\.env_id='evil:Foo-v0'; loading a file imports"
    ):
        mfq.Runner.load(path)
