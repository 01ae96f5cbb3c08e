import pytest
import torch

from mfq.values import double_value, max_value, mean_field_value, td_target

Q_TARGET = torch.tensor([[1.0, 4.0, -2.0], [0.5, 0.0, 3.0]])


def test_the_mean_field_value_is_the_policy_average():
    policy = torch.tensor([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
    # 0.2 * 1 + 0.3 * 4 - 0.5 * 2 = 0.4
    assert mean_field_value(Q_TARGET, policy).tolist() == pytest.approx([0.4, 0.0])


def test_max_and_double_values():
    assert max_value(Q_TARGET).tolist() == [4.0, 3.0]
    online = torch.tensor([[9.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    # The online net prefers actions 0 and 1; the target net values them at 1 and 0.
    assert double_value(online, Q_TARGET).tolist() == [1.0, 0.0]


def test_masks_hide_actions_from_the_maximum():
    mask = torch.tensor([[1, 0, 1], [0, 0, 0]])
    assert max_value(Q_TARGET, mask).tolist() == [1.0, 0.0]
    online = torch.tensor([[0.0, 9.0, 5.0], [0.0, 0.0, 0.0]])
    assert double_value(online, Q_TARGET, mask)[0] == -2.0


def test_death_stops_the_bootstrap_and_truncation_does_not():
    reward = torch.tensor([1.0, 1.0])
    target = td_target(reward, torch.tensor([10.0, 10.0]), torch.tensor([True, False]), 0.5)
    assert target.tolist() == [1.0, 6.0]
