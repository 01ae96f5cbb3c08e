"""A resumed run is exact against opponents whose exploration runs on episodes."""

import pytest
import torch

import mfq
from mfenvs import battle_v0


@pytest.mark.slow
@pytest.mark.parametrize("opponent", ["pool", "lagged"])
def test_past_selves_go_on_where_their_schedules_were(opponent, tmp_path):
    options = {
        "env_options": {"map_size": 14, "max_cycles": 5, "extra_features": True},
        "num_envs": 2,
        "opponents": {opponent: 1.0},
        "agent": {
            "exploration": {"policy": "epsilon_greedy", "start": 1.0, "end": 0.0, "episodes": 20},
            "replay": {"learning_starts": 10},
            "optimizer": {"batch_size": 8},
            "network": {"filters": 0, "hidden": (8,)},
        },
        "evaluation": {"every": 0},
        "quiet": True,
    }
    whole = mfq.Runner("battle_v0", config={**options, "steps": 60})
    whole.train()
    first = mfq.Runner("battle_v0", config={**options, "steps": 34})
    first.train()
    again = mfq.Runner.load(first.save(tmp_path / "half.safetensors"), steps=60)
    again.train()
    assert whole.agent.updates == again.agent.updates > 30
    theirs = again.agent.module.state_dict()
    for name, values in whole.agent.module.state_dict().items():
        assert torch.equal(values, theirs[name]), name


def test_a_lagged_self_is_seeded():
    view = mfq.wrap(battle_v0.batched_env(map_size=14))
    lagged = mfq.Lagged(mfq.QAgent(view), seed=3)
    lagged.reseed(9)
    assert lagged.player.generator.initial_seed() == 9
