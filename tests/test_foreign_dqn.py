"""examples/foreign_dqn.py: a DQN of 13x13x5, trained elsewhere, plays our battle and MAgent2's."""

import pytest
import torch

import mfq
from examples import foreign_dqn
from mfenvs import battle_v0


@pytest.mark.third_party
def test_it_plays_both_battles(tmp_path):
    path = tmp_path / "dqn.pt"
    scores = foreign_dqn.main(path, episodes=2, map_size=20, max_cycles=60)
    assert scores.keys() == {"mfenvs", "MAgent2"}
    for each in scores.values():
        assert each["win_rate"] == 1.0
        assert each["kills_difference"] > 3
    from magent2.environments import battle_v4

    views = [
        mfq.wrap(make(map_size=45, max_cycles=300))
        for make in (battle_v0.batched_env, battle_v0.parallel_env, battle_v4.parallel_env)
    ]
    steps = [view.reset(seed=7) for view in views]
    player = foreign_dqn.player(path=path)
    for _ in range(15):
        chosen = [player.act(step, explore=False) for step in steps]
        assert torch.equal(chosen[0], chosen[1])
        assert torch.equal(chosen[0], chosen[2])
        steps = [view.step(chosen[0]) for view in views]


def test_its_targets_by_hand():
    enemies = torch.zeros((2, 13, 13), dtype=torch.bool)
    enemies[0, 6, 7] = True  # to the right
    enemies[1, 6, 10] = True
    values = foreign_dqn.values_of(enemies)
    assert values[0].argmax() == 13 + 4
    moves = values[1, :13]
    assert moves.argmax() == 8, "two cells to the right"
    assert moves[6] == 0
    assert (values[1, 13:] == 0).all()
