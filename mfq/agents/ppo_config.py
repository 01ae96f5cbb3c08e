"""Options of IPPO and MF-PPO."""

from __future__ import annotations

from dataclasses import dataclass, field

from mfenvs.validate import number, of_kind, one_of, plain_fields, positive, whole
from mfq.agents.ac_config import ACNetworkConfig, ACOptimizerConfig
from mfq.agents.q_config import REWARD_SCALES
from mfq.common.config import Nested
from mfq.mean_field import PAIRINGS
from mfq.networks.precision import PRECISIONS


@dataclass(frozen=True)
class PPORolloutConfig:
    """The rollouts of a `PPO`, and what it learns from them.

    Attributes:
        steps: environment steps of a rollout. Episodes that are unfinished then are bootstrapped.
        epochs: the number of times that each sample is used.
        minibatches: gradient steps of an epoch, each on an equal share of the samples.
        gae_lambda: lambda of the generalized advantage estimate, 0 to 1.
        clip: the policy's ratio is clipped to [1 - clip, 1 + clip]; above 0.
        value_weight: weight of the critic's loss relative to the actor's.
        normalize_advantages: if True, the advantages of a rollout are shifted to a mean of 0 and divided
            by their standard deviation.
    """

    steps: int = 128
    epochs: int = 4
    minibatches: int = 4
    gae_lambda: float = 0.95
    clip: float = 0.2
    value_weight: float = 0.5
    normalize_advantages: bool = True

    def __post_init__(self) -> None:
        plain_fields(self)
        for name in ("steps", "epochs", "minibatches"):
            whole(name, getattr(self, name), 1)
        number("gae_lambda", self.gae_lambda, 0.0, 1.0)
        positive("clip", self.clip)
        number("value_weight", self.value_weight, 0.0)
        of_kind("normalize_advantages", self.normalize_advantages, bool, "True or False")


@dataclass(frozen=True)
class PPOConfig(Nested):
    """Options of a `PPO`: IPPO or MF-PPO (docs/algorithms.md). Its parts may be given as dicts.

    Attributes:
        pairing: "previous" fits the critic to V(s_t, abar_{t-1}), which is known when a_t is chosen;
            "current" to V(s_t, abar_t), with what the others do at the same time. With "current" and
            graphs that include the agent itself, the baseline depends on its action.
        mean_field: the mean field of the critic; see `QConfig`.
        play: how to act without exploration: "greedy" or "sample".
        gamma: discount, 0 to 1.
        reward_scale: see `QConfig`.
        temperature: pi = softmax(logits / temperature).
        entropy: weight of the entropy bonus; 0 for none.
        precision: see `QConfig`.
        network: see `ACNetworkConfig`.
        optimizer: see `ACOptimizerConfig`; the batch size follows from `PPORolloutConfig`.
        rollout: see `PPORolloutConfig`.
    """

    pairing: str = "previous"
    mean_field: str = "mean_action"
    play: str = "greedy"
    gamma: float = 0.95
    reward_scale: str = "none"
    temperature: float = 1.0
    entropy: float = 0.01
    precision: str = "auto"
    network: ACNetworkConfig = field(default_factory=ACNetworkConfig)
    optimizer: ACOptimizerConfig = field(default_factory=ACOptimizerConfig)
    rollout: PPORolloutConfig = field(default_factory=PPORolloutConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in (
            ("pairing", PAIRINGS),
            ("play", ("greedy", "sample")),
            ("precision", PRECISIONS),
            ("reward_scale", REWARD_SCALES),
        ):
            one_of(name, getattr(self, name), allowed)
        of_kind("mean_field", self.mean_field, str, "a name, or MODULE:CLASS")
        number("gamma", self.gamma, 0.0, 1.0)
        number("entropy", self.entropy, 0.0)
        positive("temperature", self.temperature)
