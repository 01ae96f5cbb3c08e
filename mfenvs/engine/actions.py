"""Replaces out-of-range actions on the device, without a synchronisation with the host."""


def sanitize_actions(row, agent, num_actions, actions, out):
    """Copies an action in [0, A); replaces any other by -1, no action."""
    action = actions[row, agent]
    out[row, agent] = action if 0 <= action < num_actions else -1
