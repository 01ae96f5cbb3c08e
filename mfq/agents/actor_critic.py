"""Mean-field actor-critic (Yang et al. 2018, Algorithm "MF-AC"), and the form in the authors' code.

MF-AC and AC, independent actor-critic, are two settings of `ActorCritic`.

Legend: B rows, N agents, A actions, M transitions of a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from mfq.agents.ac_config import ACConfig
from mfq.agents.ac_player import ACPlayer
from mfq.agents.update_scheduler import UpdateScheduler
from mfq.common import distributed
from mfq.common.config import of_kind
from mfq.common.generators import load_generator_state
from mfq.envs.step import Step
from mfq.envs.view import View, check_view
from mfq.networks.networks import Actor, Critic, Trunk
from mfq.networks.optimizer import adam, load_adam, polyak_update
from mfq.networks.precision import Precision
from mfq.replay.compact import CompactReplay, replay_for
from mfq.replay.ring import named, observation
from mfq.replay.rollout import Rollout
from mfq.values import mean_field_value, td_target

ACTOR = "actor."  # what the names of the actor's weights begin with, in a state
CHUNK = 16_384  # samples of a round that are put through the networks at once

Networks = Callable[[View, torch.Generator], tuple[nn.Module, nn.Module]]


class ActorCritic:
    """A policy and its critic, shared by all agents that it plays.

    Args:
        view: what to play; gives spaces and sizes.
        mean_field: True is MF-AC, whose critic sees the mean action; False is AC.
        config: see `ACConfig`.
        seed: of weights, exploration and replay; no global generator is touched.
        network: None, or a function of (view, generator) that returns two modules, with the signatures
            of `Actor.forward` and `Critic.forward`, to be used in their place.

    Attributes:
        module: what acting depends on, the actor.
        precision: which both compute in.
        time: steps acted while exploring.
        updates: gradient steps made.
    """

    def __init__(
        self,
        view: View,
        mean_field: bool = True,
        config: ACConfig | None = None,
        seed: int = 0,
        network: Networks | None = None,
    ) -> None:
        check_view(view)
        self.view, self.mean_field = view, mean_field
        self.config = config = config if config is not None else ACConfig()
        of_kind("config", config, ACConfig, "an ACConfig")
        build = network if network is not None else self._default_networks
        actor, critic = build(view, torch.Generator().manual_seed(seed))
        self.online = nn.ModuleDict({"actor": actor, "critic": critic}).to(view.device)
        self.optimizer = adam(self._parameters(), view.device)
        self.generator = torch.Generator(view.device).manual_seed(seed + 2)
        greedy = config.play == "greedy"
        self.precision = Precision(config.precision, self.online, view.device)
        self._player = ACPlayer(actor, config.temperature, greedy, self.generator, self.precision)
        self.time = self.updates = 0
        if config.critic == "q":
            self.update_scheduler = UpdateScheduler(config)
            self.target = copy.deepcopy(self.online).requires_grad_(False)
            self.replay = replay_for(
                view,
                "auto",
                config.replay_size,
                seed + 1,
                config.pairing,
                mean_field,
                config.gamma > 0,
            )
        else:
            self.rollout = Rollout(config.round_steps)
            self._last: Step | None = None

    # -- the agent's protocol --------------------------------------------------------------------

    @property
    def module(self) -> nn.Module:
        """The actor."""
        return self.online["actor"]

    def player(self, seed: int = 0) -> ACPlayer:
        """A frozen copy of the actor that plays, its coins from ``seed``."""
        return self._player.player(seed)

    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Actions int64 [B, N]: drawn from the policy, or as ``play`` says without exploration."""
        if explore and self.config.critic == "q" and isinstance(self.replay, CompactReplay):
            self.replay.record_snapshot(step)
        self.time += explore
        return self._player.act(step, explore)

    def observe(self, step: Step, actions: Tensor, next_step: Step) -> None:
        """Stores what the actions led to, of agents whose choice counted."""
        learns = step.learners(next_step)
        fitted = self._seen(next_step if self.config.pairing == "current" else step)
        choice = {"action": actions, "mean": fitted}
        if step.action_mask is not None:
            choice["mask"] = step.action_mask
        if self.config.critic == "v":
            self.rollout.add(step, next_step, self._seen(step), {**choice, "learns": learns})
            self._last = next_step if step.mine is None else next_step.for_player(step.mine)
            return
        before = self.replay.added
        if isinstance(self.replay, CompactReplay):
            self.replay.add(step, next_step, learns)
        else:
            batch = self._transitions(step, next_step, choice)
            self.replay.add({name: values[learns] for name, values in batch.items()})
        self.update_scheduler.stored(self.replay.added - before, self.replay.added)

    def _transitions(
        self, step: Step, next_step: Step, choice: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Everybody's transitions, [B, N, ...] by name."""
        actions = choice["action"]
        batch = {
            **choice,
            **named("obs", step.obs),
            "agent": torch.arange(actions.shape[1], device=actions.device).expand_as(actions),
            "reward": next_step.reward,
        }
        if self.config.gamma > 0:
            batch |= named("next_obs", next_step.obs)
            batch["next_mean"] = self._seen(next_step)
            batch["terminated"] = next_step.terminated
            if next_step.action_mask is not None:
                batch["next_mask"] = next_step.action_mask
        return batch

    def learn(self) -> dict[str, float]:
        """Gradient steps, where there is enough to learn from; metrics of the last, or {}."""
        self._set_rates()
        return self._learn_q() if self.config.critic == "q" else self._learn_v()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the future depends on, replay or unfinished round included."""
        state = {
            "online": self.online.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "time": self.time,
            "updates": self.updates,
        }
        if self.config.critic == "v":
            return {**state, "rollout": self.rollout.state_dict()}
        return {
            **state,
            "target": self.target.state_dict(),
            "replay": self.replay.state_dict(),
            "owed": self.update_scheduler.owed,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict`; one without a replay leaves the replay empty."""
        self.online.load_state_dict(state["online"])
        load_adam(self.optimizer, state["optimizer"])
        if self.config.critic == "v":
            self.rollout.load_state_dict(state["rollout"], self.view.device)
        else:
            self.target.load_state_dict(state["target"])
            self.update_scheduler.owed = state["owed"]
            if "replay" in state:
                self.replay.load_state_dict(state["replay"])
        load_generator_state(self.generator, state["generator"])
        self.time, self.updates = state["time"], state["updates"]
        self._set_rates()  # as configured, should that have changed

    # -- the paper's: Q(s, a, abar) from replay --------------------------------------------------

    def _learn_q(self) -> dict[str, float]:
        config, metrics = self.config, dict[str, Tensor]()
        for _ in range(self.update_scheduler.updates(self.replay.added)):
            batch = self.replay.sample(config.batch_size)
            obs, agent = observation("obs", batch), batch["agent"]
            with torch.enable_grad():
                q = self.precision(self.online["critic"], obs, batch["mean"], agent)
                chosen = q.gather(-1, batch["action"][:, None])[:, 0]
                critic_loss = (self.td_target(batch) - chosen).square().mean()

                # Since grad pi = pi grad log pi, the gradient of sum_a pi(a|s) Q(s, a, abar) is
                # E_{a~pi}[grad log pi(a|s) Q(s, a, abar)], with nothing left to sampling.
                logits = self.precision(self.online["actor"], obs, agent)
                log_pi = self.log_policy(logits, batch.get("mask"))
                pi = log_pi.exp()
                gain, entropy = (pi * q.detach()).sum(-1), -(pi * log_pi).sum(-1)
                actor_loss = -(gain + config.entropy * entropy).mean()
                self.optimizer.zero_grad()
                (critic_loss + actor_loss).backward()
            self._descend()
            self._move_targets()
            metrics = {"loss": critic_loss, "q": chosen.mean(), "entropy": entropy.mean()}
        return {name: float(value.detach()) for name, value in metrics.items()}

    @torch.no_grad()
    def td_target(self, batch: dict[str, Tensor]) -> Tensor:
        """y = r + gamma v^MF(s') [M], v^MF(s') = sum_a pi_target(a | s') Q_target(s', a, abar')."""
        if self.config.gamma == 0:
            return batch["reward"]
        obs, agent = observation("next_obs", batch), batch["agent"]
        logits = self.precision(self.target["actor"], obs, agent)
        pi = self.log_policy(logits, batch.get("next_mask")).exp()
        q = self.precision(self.target["critic"], obs, batch["next_mean"], agent)
        value = mean_field_value(q, pi)
        return td_target(batch["reward"], value, batch["terminated"], self.config.gamma)

    # -- the authors' code's: V(s, abar) from a round of play ------------------------------------

    def _learn_v(self) -> dict[str, float]:
        config, metrics = self.config, dict[str, Tensor]()
        # All processes end a round together.
        if self._last is None or distributed.total(int(not self.rollout.is_over())):
            return {}
        batch = self.rollout.finish(
            self._last, self._seen(self._last), self._state_values, config.gamma
        )
        mine = len(batch["returns"])
        size = distributed.total(mine) / distributed.world()
        chunks = [  # one at least: who has no samples still takes part
            {name: part[start : start + CHUNK] for name, part in batch.items()}
            for start in range(0, max(mine, 1), CHUNK)
        ]
        for _ in range(config.updates_per_round if size else 0):
            self.optimizer.zero_grad()
            sums = [self._accumulate(chunk, size) for chunk in chunks]
            self._descend()
            metrics = {name: torch.stack([part[name] for part in sums]).sum() for name in sums[0]}
        return {name: float(value) for name, value in metrics.items()}

    def _accumulate(self, batch: dict[str, Tensor], size: float) -> dict[str, Tensor]:
        """Adds the gradient of some of a round's samples, ``size`` of a process on average; their
        shares of the metrics."""
        config, returns = self.config, batch["returns"]
        obs, agent = observation("obs", batch), batch["seat"] % self.view.num_agents
        with torch.enable_grad():
            value = self.precision(self.online["critic"], obs, batch["mean"], agent)[:, 0]
            critic_loss = (returns - value).square().sum() / size

            # grad log pi(a|s) (R - V(s, abar))
            logits = self.precision(self.online["actor"], obs, agent)
            log_pi = self.log_policy(logits, batch.get("mask"))
            chosen = log_pi.gather(-1, batch["action"][:, None])[:, 0]
            gain = chosen * (returns - value.detach())
            entropy = -(log_pi.exp() * log_pi).sum(-1)
            actor_loss = -(gain + config.entropy * entropy).sum() / size
            (actor_loss + config.value_weight * critic_loss).backward()
        metrics = {
            "loss": critic_loss,
            "value": value.sum() / size,
            "entropy": entropy.sum() / size,
        }
        return {name: part.detach() for name, part in metrics.items()}

    @torch.no_grad()
    def _state_values(self, states: dict[str, Tensor]) -> Tensor:
        """V(s, abar) [M], abar being what acting in s reckons with."""
        agent = states["seat"] % self.view.num_agents
        inputs = observation("obs", states), states["expected"], agent
        return self.precision(self.online["critic"], *inputs)[:, 0]

    # -- what both need --------------------------------------------------------------------------

    def log_policy(self, logits: Tensor, mask: Tensor | None) -> Tensor:
        """log pi(. | s) [M, A]; for what the mask forbids a finite number whose exp is 0."""
        logits = logits / self.config.temperature
        if mask is not None:
            logits = logits.masked_fill(mask == 0, torch.finfo(logits.dtype).min)
        return torch.log_softmax(logits, -1)

    def _seen(self, step: Step) -> Tensor:
        """What the critic gets of the mean action of a step's actions: all of it, or nothing."""
        return step.mean_action if self.mean_field else step.mean_action[..., :0]

    def _descend(self) -> None:
        distributed.average_gradients(self.online.parameters())
        if self.config.clip_gradient:
            for group in self.optimizer.param_groups:
                nn.utils.clip_grad_norm_(group["params"], self.config.clip_gradient)
        self.optimizer.step()
        self.updates += 1

    @torch.no_grad()
    def _move_targets(self) -> None:
        polyak_update(self.target.parameters(), self.online.parameters(), self.config.polyak)
        for mine, theirs in zip(self.target.buffers(), self.online.buffers(), strict=True):
            mine.copy_(theirs)

    def _parameters(self) -> list[dict[str, Any]]:
        """The actor's, and those of the critic that are not the actor's too."""
        actors = list(self.online["actor"].parameters())
        known = set(actors)
        critics = [part for part in self.online["critic"].parameters() if part not in known]
        return [{"params": actors}, {"params": critics}]

    def _set_rates(self) -> None:
        rates = self.config.rates(self.time)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _default_networks(self, view: View, generator: torch.Generator) -> tuple[Actor, Critic]:
        return networks_of(self.config, view.observation_space, view, self.mean_field, generator)


def networks_of(
    config: ACConfig,
    observation_space: spaces.Space[Any],
    view: View,
    mean_field: bool,
    generator: torch.Generator,
) -> tuple[Actor, Critic]:
    """The networks that a config asks for, of agents that observe this and otherwise are a view's."""
    hidden = config.hidden or ((512,) if _has_pictures(observation_space) else (64, 64))
    sizes = observation_space, view.num_agents, hidden, config.agent_embedding

    def trunk() -> Trunk:
        return Trunk(*sizes, config.pictures, generator)

    actor = Actor(trunk(), view.num_actions, generator)
    critic = Critic(
        actor.trunk if config.shared_trunk else trunk(),
        view.mean_action_dim,
        view.num_actions if config.critic == "q" else 1,
        mean_field,
        config.mean_hidden,
        generator,
    )
    return actor, critic


def _has_pictures(space: spaces.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict):
        return any(_has_pictures(part) for part in space.spaces.values())
    return isinstance(space, spaces.Box) and len(space.shape) == 3
