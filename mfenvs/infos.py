"""The keys of an agent's info that report its action.

They have the package's name, so that no other environment's infos are read as ours by chance. An
environment of a user's may use them, too.
"""

ACTION = "mfenvs_action"
"""The action in effect, an index from 0 on; -1: none. Absent: the action that was given."""

ACTING = "mfenvs_acting"
"""Whether the agent chose the action in effect, a bool. Absent: whether it was given one."""
