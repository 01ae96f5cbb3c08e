"""The paper's other baselines, and the studies that compare everything head to head."""
