"""Mean-field Q-learning with a network (Yang et al. 2018, Algorithm 1).

MFQ and independent Q-learning (IQL) are two settings of `QAgent`.

Legend: B rows, N agents, A actions, M transitions of a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mfq.mean_field import iterate
from mfq.network import QNetwork
from mfq.policy import Boltzmann, EpsilonGreedy, Greedy, Linear, Policy, draw
from mfq.replay import Replay
from mfq.values import double_value, max_value, mean_field_value, td_target
from mfq.view import Step, View

POLICIES = ("boltzmann", "epsilon_greedy")
VALUES = ("mean_field", "double", "max")
PAIRINGS = ("current", "previous")


@dataclass(frozen=True)
class QConfig:
    """Options of a `QAgent`.

    Attributes:
        policy: "boltzmann" or "epsilon_greedy"; how to explore, and pi in v^MF.
        explore_start, explore_end, explore_steps: its temperature (above 0) or epsilon (0 to 1), linear
            over environment steps, then constant.
        coherent_start, coherent_steps: coherent exploration. The probability that a whole row draws
            from one random mixture of actions in a step falls from coherent_start to 0 over
            coherent_steps.
        reconsider: the probability that an agent chooses anew in a step, exploring or not; else it
            repeats what it did (inertia). 1: always.
        value: how s' is valued: "mean_field" (Eq. 10), "double" (the authors' code) or "max".
        pairing: "current" fits Q(s_t, a_t, abar_t), the paper's; "previous" fits
            Q(s_t, a_t, abar_{t-1}), the authors' code's.
        iterations: rounds of Eqs. 6 and 11 before acting.
        gamma: discount, 0 to 1. At 0 nothing of s' is stored.
        hidden: widths of the joint layers.
        agent_embedding: size of the embedding of who an agent is; 0 for none.
        learning_rate: Adam's.
        batch_size: transitions of a gradient step.
        replay_size: transitions kept.
        learn_after: transitions before the first gradient step.
        updates_per_step: gradient steps per environment step.
        polyak: how far the target network moves to the online one per gradient step, 0 to 1.
        hard_update: if above 0, the target network is copied every so many gradient steps instead.
        clip_gradient: largest norm of the gradient; 0 for no clipping.
    """

    policy: str = "boltzmann"
    explore_start: float = 1.0
    explore_end: float = 0.1
    explore_steps: int = 2000
    coherent_start: float = 0.0
    coherent_steps: int = 1
    reconsider: float = 1.0
    value: str = "mean_field"
    pairing: str = "current"
    iterations: int = 0
    gamma: float = 0.95
    hidden: tuple[int, ...] = (64, 64)
    agent_embedding: int = 8
    learning_rate: float = 1e-3
    batch_size: int = 256
    replay_size: int = 200_000
    learn_after: int = 1000
    updates_per_step: int = 1
    polyak: float = 0.005
    hard_update: int = 0
    clip_gradient: float = 10.0

    def __post_init__(self) -> None:
        for name, allowed in (("policy", POLICIES), ("value", VALUES), ("pairing", PAIRINGS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}; allowed: {allowed}")
        for name in ("coherent_start", "reconsider", "gamma", "polyak"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r}; allowed: 0 to 1")
        for name, least in (
            ("explore_steps", 1),
            ("coherent_steps", 1),
            ("iterations", 0),
            ("agent_embedding", 0),
            ("batch_size", 1),
            ("replay_size", 1),
            ("learn_after", 1),
            ("updates_per_step", 0),
            ("hard_update", 0),
            ("clip_gradient", 0),
        ):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name}={getattr(self, name)!r}; allowed: {least} or more")
            if name != "clip_gradient" and not isinstance(getattr(self, name), int):
                raise TypeError(f"{name}={getattr(self, name)!r}; allowed: an integer")
        if self.pairing == "previous" and self.iterations:
            raise ValueError(
                f"iterations={self.iterations!r} with pairing='previous'; allowed: 0, since the "
                "iterated mean action is drawn anew each time"
            )
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate={self.learning_rate!r}; allowed: finite, above 0")
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden={self.hidden!r}; allowed: widths of at least 1")
        # A bad end of the schedule should not wait for the step that reaches it.
        for end in (self.explore_start, self.explore_end):
            Boltzmann(end) if self.policy == "boltzmann" else EpsilonGreedy(end)

    def make_policy(self) -> Policy:
        """The exploring policy, its schedule running on the steps acted."""
        schedule = Linear(self.explore_start, self.explore_end, self.explore_steps)
        return Boltzmann(schedule) if self.policy == "boltzmann" else EpsilonGreedy(schedule)


class QAgent:
    """Deep Q-learning of all agents of a view through one shared network.

    Args:
        view: what to play; gives spaces and sizes.
        mean_field: True is MFQ, False is IQL.
        config: see `QConfig`.
        seed: of weights, exploration and replay; no global generator is touched.
        network: None, or a function of (view, generator) that returns a module with the signature of
            `QNetwork.forward`, to be used in its place.
    """

    def __init__(
        self,
        view: View,
        mean_field: bool = True,
        config: QConfig | None = None,
        seed: int = 0,
        network: Callable[[View, torch.Generator], nn.Module] | None = None,
    ) -> None:
        self.view, self.mean_field = view, mean_field
        self.config = config = config if config is not None else QConfig()
        self.policy = config.make_policy()
        build = network if network is not None else self._default_network
        self.online = build(view, torch.Generator().manual_seed(seed)).to(view.device)
        self.target = copy.deepcopy(self.online)
        self.target.requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.online.parameters(), config.learning_rate)
        self.replay = Replay(config.replay_size, view.device, seed + 1)
        self.generator = torch.Generator(view.device).manual_seed(seed + 2)
        self._agents = torch.arange(view.num_agents, device=view.device)
        self.time = self.updates = 0

    # -- the agent's protocol --------------------------------------------------------------------

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Actions int64 [B, N]: drawn from the policy, or greedy without exploration."""
        with torch.no_grad():
            q = self.values(step, self._expected_mean(step))
            policy = self.policy if explore else Greedy()
            actions = policy.sample(q, self.time, self.generator, step.action_mask)
            actions = self._keep_habits(step, actions)
            if explore:
                actions = self._explore_together(step, actions)
        self.time += explore
        return actions

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Stores what the actions led to, of agents whose choice counted."""
        learns = next_step.acting & ~next_step.reset[:, None]
        batch = {
            "agent": self._agents.expand_as(actions),
            "action": actions,
            "reward": next_step.reward,
            "mean": self._fitted_mean(step, next_step),
            **_named("obs", step.obs),
        }
        if self.config.gamma > 0:
            with torch.no_grad():
                batch["next_mean"] = self._expected_mean(next_step)
            batch["terminated"] = next_step.terminated
            batch |= _named("next_obs", next_step.obs)
            if next_step.action_mask is not None:
                batch["next_mask"] = next_step.action_mask
        self.replay.add({name: values[learns] for name, values in batch.items()})

    def learn(self) -> dict[str, float]:
        """Gradient steps on (y - Q(s, a, abar))^2; metrics of the last, or {} before there is enough."""
        config, metrics = self.config, dict[str, float]()
        if self.replay.added < config.learn_after:
            return metrics
        for _ in range(config.updates_per_step):
            batch = self.replay.sample(config.batch_size)
            with torch.enable_grad():
                q = self.online(_part("obs", batch), batch["mean"], batch["agent"])
                chosen = q.gather(-1, batch["action"][:, None])[:, 0]
                loss = (self.td_target(batch) - chosen).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            if config.clip_gradient:
                nn.utils.clip_grad_norm_(self.online.parameters(), config.clip_gradient)
            self.optimizer.step()
            self.updates += 1
            self._move_target()
            metrics = {"loss": float(loss.detach()), "q": float(chosen.detach().mean())}
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Everything that the future depends on, replay included."""
        return {
            "online": self.online.state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "replay": self.replay.state_dict(),
            "generator": self.generator.get_state(),
            "time": self.time,
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict`."""
        self.online.load_state_dict(state["online"])
        self.target.load_state_dict(state["target"])
        self.optimizer.load_state_dict(state["optimizer"])
        for (
            group
        ) in self.optimizer.param_groups:  # the configured rate, should it have been changed
            group["lr"] = self.config.learning_rate
        self.replay.load_state_dict(state["replay"])
        self.generator.set_state(state["generator"])
        self.time, self.updates = state["time"], state["updates"]

    # -- its parts ------------------------------------------------------------------------------

    def values(self, step: Step, mean: Tensor) -> Tensor:
        """Q(o, abar, .) of every agent: float32 [B, N, A]."""
        obs = {name: part.flatten(0, 1) for name, part in _named("obs", step.obs).items()}
        agents = self._agents.expand_as(step.actions)
        q = self.online(_part("obs", obs), mean.flatten(0, 1), agents.flatten())
        return q.view(*agents.shape, self.view.num_actions)

    @torch.no_grad()
    def td_target(self, batch: dict[str, Tensor]) -> Tensor:
        """y = r + gamma v(s') [M], with v^MF, double-Q or the maximum for v."""
        config = self.config
        if config.gamma == 0:
            return batch["reward"]
        inputs = _part("next_obs", batch), batch["next_mean"], batch["agent"]
        q, mask = self.target(*inputs), batch.get("next_mask")
        if config.value == "mean_field":
            value = mean_field_value(q, self.policy.probabilities(q, self.time, mask))
        elif config.value == "double":
            value = double_value(self.online(*inputs), q, mask)
        else:
            value = max_value(q, mask)
        return td_target(batch["reward"], value, batch["terminated"], config.gamma)

    def _fitted_mean(self, step: Step, next_step: Step) -> Tensor:
        """The mean action that the chosen action's value is fitted to."""
        if self.config.pairing == "previous":
            return self._expected_mean(step)
        return next_step.mean_action if self.mean_field else next_step.mean_action[..., :0]

    def _expected_mean(self, step: Step) -> Tensor:
        """The mean action that acting in this step reckons with."""
        if not self.mean_field:
            return torch.zeros((*step.actions.shape, 0), device=self.view.device)
        return iterate(
            step.mean_action,
            self.config.iterations,
            step.graph,
            lambda mean: self._respond(step, mean),
        )

    def _respond(self, step: Step, mean: Tensor) -> Tensor:
        q = self.values(step, mean)
        actions = self.policy.sample(q, self.time, self.generator, step.action_mask)
        return actions.where(step.alive, torch.full_like(actions, -1))

    def _explore_together(self, step: Step, actions: Tensor) -> Tensor:
        """In some rows, everybody's action from one mixture drawn for the row."""
        config = self.config
        chance = Linear(config.coherent_start, 0.0, config.coherent_steps)(self.time)
        if chance <= 0:
            return actions
        rows, coin = (len(actions), 1, 1), self.generator
        together = torch.rand(rows, generator=coin, device=actions.device)[..., 0] < chance
        # Exponential variables, normalised, are uniform on the simplex.
        shares = torch.rand(
            (*rows[:2], self.view.num_actions), generator=coin, device=actions.device
        )
        mixture = shares.clamp(min=1e-9).log().neg().expand(-1, self.view.num_agents, -1)
        if step.action_mask is not None:
            mixture = mixture * (step.action_mask != 0)
        return draw(mixture, coin).where(together, actions)

    def _keep_habits(self, step: Step, actions: Tensor) -> Tensor:
        """Agents that do not reconsider repeat their action, if they have one that is still allowed."""
        if self.config.reconsider >= 1:
            return actions
        coin = torch.rand(actions.shape, generator=self.generator, device=actions.device)
        keeps = (coin >= self.config.reconsider) & (step.actions >= 0)
        if step.action_mask is not None:
            habit = step.actions.clamp(min=0)[..., None]
            keeps &= step.action_mask.gather(-1, habit)[..., 0] != 0
        return step.actions.where(keeps, actions)

    def _move_target(self) -> None:
        hard = self.config.hard_update
        if hard and self.updates % hard:
            return
        share = 1.0 if hard else self.config.polyak
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.online.parameters(), strict=True):
                slow.lerp_(fast, share)
            for mine, theirs in zip(self.target.buffers(), self.online.buffers(), strict=True):
                mine.copy_(theirs)

    def _default_network(self, view: View, generator: torch.Generator) -> nn.Module:
        return QNetwork(
            view.observation_space,
            view.num_agents,
            view.num_actions,
            self.mean_field,
            self.config.hidden,
            self.config.agent_embedding,
            generator,
        )


def _named(name: str, obs: Any) -> dict[str, Tensor]:
    """An observation as tensors by name: "obs", or "obs.view" and so on for a dict."""
    if isinstance(obs, dict):
        return {f"{name}.{key}": value for key, value in obs.items()}
    return {name: obs}


def _part(name: str, batch: dict[str, Tensor]) -> Any:
    """The observation again, from tensors by name."""
    if name in batch:
        return batch[name]
    return {
        key.partition(".")[2]: part for key, part in batch.items() if key.startswith(name + ".")
    }
