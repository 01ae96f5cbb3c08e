"""How actions enter a game where nobody may look at them first: on CUDA, looking would mean waiting."""


def sanitize_actions(row, agent, num_actions, actions, out):
    """Copies an action, and takes one that does not exist for none."""
    action = actions[row, agent]
    out[row, agent] = action if 0 <= action < num_actions else -1
