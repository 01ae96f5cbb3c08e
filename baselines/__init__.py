"""Scripts for single experiments, run from a checkout: ``python -m baselines.NAME``.

Nothing imports them, and they are not in the wheel. What `mfq compare` runs is in mfq/studies.
"""
