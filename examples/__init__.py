"""Scripts that play our games with other people's learners (docs/other_learners.md)."""
