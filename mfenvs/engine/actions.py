"""Replaces out-of-range actions on the device, without a synchronisation with the host."""


def sanitize_actions(row, agent, counts, actions, out):
    """Copies an action that is below the number of the agent's; replaces any other by -1, no action."""
    action = actions[row, agent]
    out[row, agent] = action if 0 <= action < counts[agent] else -1
