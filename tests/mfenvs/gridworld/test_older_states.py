"""State dicts of battle as older versions wrote them."""

import torch

from mfenvs import battle_v0
from mfenvs.gridworld.game import GridGame


def test_an_older_state_plays_on_alike():
    env, again = (battle_v0.batched_env(num_envs=2, map_size=14) for _ in range(2))
    env.reset(seed=0)
    actions = torch.full((2, env.num_agents), 8)
    for _ in range(3):
        env.step(actions)
    saved = env.state_dict()
    former = {present: name for name, present in GridGame.former_fields.items()}
    assert {"deed", "crowd", "crowds"} == set(former.values())
    fields = {
        former.get(name, name): values
        for name, values in saved["state"].items()
        if name not in ("victim", "bounty", "walls")
    }
    assert fields.keys() & {"deed", "attack_result"} == {"deed"}
    again.load_state_dict({**saved, "state": fields})
    for _ in range(3):
        one, other = env.step(actions), again.step(actions)
        assert torch.equal(one[1], other[1])
        for name, values in one[0].items():
            assert torch.equal(values, other[0][name])
