# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The outer loop: draw, sample and score, learn, evaluate, write, save.

Order of one step and why: the metrics line is written after the step's evaluation, and the checkpoint after the line,
so a checkpoint never knows of a step that the log lacks; lines after the checkpoint that a run resumes from are cut off
and written again, the same to the bit. Steps count from 1; line 0 holds the evaluation before training.
"""

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax

from grpo_jax.checkpoint.disk_errors import naming_disk_errors
from grpo_jax.checkpoint.pretrained import load_published
from grpo_jax.checkpoint.reasoning import with_reasoning_vocabulary
from grpo_jax.config import RunConfig
from grpo_jax.data.adaptive import outcomes_of
from grpo_jax.data.loader import ProblemLoader
from grpo_jax.data.prompt_lengths import likely_longest, prompt_metrics, report_prompt_lengths
from grpo_jax.evaluation.run_evaluations import RunEvaluations
from grpo_jax.overrides import config_as_dict
from grpo_jax.parallel.compile_ahead import CompileAhead
from grpo_jax.parallel.compile_cache import keep_compiled_programs
from grpo_jax.parallel.compile_watch import CompileWatch
from grpo_jax.parallel.device_memory import device_bytes, memory_explained
from grpo_jax.parallel.device_peaks import peak_flops_of_all
from grpo_jax.parallel.mesh import make_mesh, make_rollout_mesh
from grpo_jax.parallel.processes import any_process, is_main, join_processes, naming_lost_processes, wait_for_all
from grpo_jax.parallel.silence import watching_processes
from grpo_jax.records import ConfigError
from grpo_jax.rewards.phases import PhaseTracker
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.collector import RolloutCollector
from grpo_jax.rollout.first_rollouts import compile_first_rollouts
from grpo_jax.rollout.functions import RolloutFunctions
from grpo_jax.rollout.replay import ReplayBuffer
from grpo_jax.rollout.session import open_session
from grpo_jax.rollout.step_source import open_step_source
from grpo_jax.tracking.log import close_logging, set_up_logging
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.tracking.run_folder import RunFolder
from grpo_jax.tracking.run_log import RunLog
from grpo_jax.tracking.summary import first_and_last_fifth
from grpo_jax.training.final_model import write_final_model
from grpo_jax.training.invalid_watch import InvalidWatch
from grpo_jax.training.learner import Learner
from grpo_jax.training.maintenance_notice import maintenance_notices, metadata_address
from grpo_jax.training.memory_plan import memory_settings, plan_memory, verdict
from grpo_jax.training.rollout_metrics import rollout_metrics
from grpo_jax.training.run_checkpoints import RunCheckpoints
from grpo_jax.training.state import Stateful, TrainState
from grpo_jax.training.step_metrics import (
    objective_metrics,
    replay_metrics,
    resource_metrics,
    reward_metrics,
    utilisation_metrics,
)
from grpo_jax.training.stop_signal import Stop, stop_requests
from grpo_jax.training.twin_usage import TwinUsage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """Where a run's results are.

    Attributes:
        run_folder: Everything the run wrote.
        final_model: Hugging Face folder of the last weights; written only when the run reached its last step.
        report: Self-contained HTML page; None where `logging.enabled` is false.
        steps: Steps done, those before a resume included.
        finished: False where SIGTERM or a notice ended the run early; starting it again goes on.
        first_reward_mean: Mean reward over the first fifth of the steps.
        last_reward_mean: Over the last fifth.
    """

    run_folder: Path
    final_model: Path
    report: Path | None
    steps: int
    finished: bool
    first_reward_mean: float
    last_reward_mean: float


def train(config: RunConfig, resume: str = "auto") -> RunResult:
    """Train a model and write its run folder.

    Args:
        config: The run.
        resume: "auto" goes on from the run's newest checkpoint, "never" starts again, anything else is a run's folder
            or a checkpoint to go on from.

    Raises:
        ConfigError: Something about the run's input is wrong; nothing was lost.
        TooManyInvalidError: Too many completions could not be judged; the last checkpoint stands.
        NonFiniteError: A loss or gradient became NaN or infinite and `training.on_nonfinite` is `stop`; the last
            checkpoint stands.
        LostProcessError: Another process of the run has ended; the last checkpoint stands.
        DiskError: The disk is full or cannot be written; the last checkpoint stands.
    """
    keep_compiled_programs(config.parallel.compile_cache)
    join_processes(config.parallel)
    folder = RunFolder(config.output_dir, config.exp_name)
    folder.create()
    set_up_logging(folder.log(jax.process_index()), console_level=logging.INFO if is_main() else logging.WARNING)
    try:
        with watching_processes(config.parallel) as noting, naming_lost_processes(), ExitStack() as stack, noting:
            compiling = stack.enter_context(CompileWatch())
            stack.enter_context(naming_disk_errors(str(folder.path)))
            return _Run(config, folder, resume, stack, compiling).run()
    finally:
        close_logging()


class _Run:
    """One start of a run: what was set up, and the chapters of the loop."""

    def __init__(self, config: RunConfig, folder: RunFolder, resume: str, stack: ExitStack, compiling: CompileWatch):
        self._config, self._folder, self._compiling = config, folder, compiling
        if not config.domains:
            raise ConfigError("domains is empty; a run needs at least one domain")
        self._log = RunLog(folder, config, config_as_dict(config), jax.process_index(), jax.process_count())
        stack.callback(self._log.close)
        functions = RolloutFunctions(config)
        stack.callback(functions.close)
        logger.info("loading %s", config.model.path)
        # Workers import their checkers while the model loads.
        self._pool = RewardPool(config.domains, config.rewards, config.curriculum.phases)
        stack.callback(self._pool.close)
        model, limit = load_published(config.model.path), device_bytes()
        with_tags = with_reasoning_vocabulary(model, config.model)
        meshes = make_mesh(config.parallel).abstract_mesh, make_rollout_mesh(config.parallel).abstract_mesh
        memory = plan_memory(config, with_tags.architecture, meshes[0], limit, meshes[1])
        log = logger.info if memory.peak_bytes <= limit else logger.warning
        log("memory plan: %s", verdict(config, memory, limit))
        logger.info("sampling %d prompts x %d samples at once", memory.slots, memory.lanes)
        self._loader = ProblemLoader(config, with_tags.tokenizer, jax.process_index(), jax.process_count())
        self._total_steps = self._loader.num_steps
        lengths = self._loader.prompt_lengths()
        report_prompt_lengths(lengths, config.data.max_prompt_tokens, folder.prompt_lengths if is_main() else None)
        longest_prompt = likely_longest(lengths, config.data.prompts_per_step, config.data.max_prompt_tokens)
        ahead = self._ahead = CompileAhead(config.parallel.compile_ahead)
        stack.callback(ahead.close)
        compile_sampler = partial(compile_first_rollouts, config, ahead, longest_prompt)
        session = self._session = open_session(
            config, model, free_bytes=memory.free_for_sampling(limit), before_weights=compile_sampler
        )
        logger.info("%s, %.1f M parameters", session.arch.family, session.arch.num_parameters / 1e6)
        self._phases = PhaseTracker(config.curriculum.phases, config.domains, self._total_steps)
        self._invalid = InvalidWatch(config.rewards)
        self._learner = Learner(config, session, self._total_steps, folder.nonfinite)
        self._replay = ReplayBuffer(config)
        collector = RolloutCollector(config, session.engine, self._pool, session.tokenizer, functions)
        self._source = open_step_source(
            config, self._learner.objective, session, self._pool, collector, self._loader, functions
        )
        stack.callback(self._source.close)
        self._evaluations = RunEvaluations(config, folder, self._total_steps, collector, session.tokenizer)
        self._twin_usage = TwinUsage(session.token_map, session.tags) if session.token_map and session.tags else None
        parts: dict[str, Stateful] = {
            "loader": self._loader,
            "learner": self._learner,
            "phases": self._phases,
            "invalid": self._invalid,
            "replay": self._replay,
            "rollouts": self._source,
            "best": self._evaluations.best,
            **({"twin_usage": self._twin_usage} if self._twin_usage else {}),
        }
        self._checkpoints = RunCheckpoints(config, folder, resume, parts, session.token_map)
        stack.callback(self._checkpoints.close)
        self._done, self._state = self._start()
        self._learner.compile_ahead(ahead, longest_prompt)
        self._pool.wait_ready()
        if is_main():
            folder.write_config(config_as_dict(config))
            self._checkpoints.write_config_beside()
        wait_for_all("ready")

    def run(self) -> RunResult:
        """Steps from where the run stands to its end, or to a wish that it stops."""
        with stop_requests(self._config.checkpoint.grace_seconds) as stop:
            notices = maintenance_notices(metadata_address(jax.default_backend()), stop.ask)
            with self._log.running(self._done, self._total_steps, self._pool.statistics), notices:
                self._train(stop)
            if self._done < self._total_steps:
                who = stop.reason or "another process"
                logger.info("stopped by %s after step %d; the same command goes on from there", who, self._done)
            return self._finish()

    def _train(self, stop: Stop) -> None:
        if self._done == 0 and self._twin_usage and self._checkpoints.enabled:
            self._save()  # the model with its twins as they start, before anything has moved them
        if self._done == 0 and (figures := self._evaluate_if_due(0)):
            self._log.write(0, figures)
        while self._done < self._total_steps and not any_process(bool(stop)):
            step = self._done + 1
            with self._log.profiled(step):
                metrics = self._step(step)
            self._compiling.first_step_done()
            with memory_explained("compiling", memory_settings(self._config)):
                self._ahead.check()
            figures = self._evaluate_if_due(step)
            self._log.write(step, {**metrics, **figures, **self._compiling.take()})
            self._done = step
            self._save_if_due(figures)
        self._compiling.last_step_done()
        # Whether it ended or was stopped, however late the signal came.
        self._save_if_due({}, leaving=True)
        self._checkpoints.wait()
        stop.saved = self._checkpoints.enabled

    def _step(self, step: int) -> dict[str, float]:
        """Draw, sample and score, learn; returns the step's metrics."""
        start = time.perf_counter()
        self._log.stage("sampling")
        phase = self._phases.begin(step)
        rollouts = self._source.step(
            lambda: self._session.engine.serve(self._learner.policy(self._state)),
            step=step,
            policy_version=int(self._state.num_updates),
            phase=phase,
        )
        collected, judged_groups = rollouts.collected, [*rollouts.collected.groups, *rollouts.discarded]
        self._invalid.check(step, judged_groups)
        self._loader.record(step - 1, outcomes_of(judged_groups))
        sampled_at = time.perf_counter()
        self._log.stage("learning")
        version = int(self._state.num_updates)
        replayed = self._replay.choose(step, version)
        with memory_explained("learning", memory_settings(self._config)):
            self._state, learned = self._learner.learn(
                self._state, collected.groups, step, self._phases.domains, replayed, self._source.meanwhile
            )
        self._replay.observe(collected.groups, learned.judged)
        learned_at = time.perf_counter()
        self._log.look(step, collected.groups, learned.judged.advantages.tolist())
        seconds = {
            "draw": rollouts.draw_seconds,
            "sampling": collected.sampling_seconds,
            "reward_wait": collected.reward_wait_seconds,
            "update": learned_at - sampled_at,
            "step": time.perf_counter() - start,
        }
        metrics = {
            **rollouts.metrics,
            **prompt_metrics(rollouts.prompts, self._loader.num_dropped),
            **reward_metrics(collected.groups, self._config),
            **rollout_metrics(judged_groups, self._config),
            **objective_metrics(collected.groups, learned),
            **replay_metrics(replayed, learned, len(self._replay), version),
            "objective/replaced_groups": float(len(rollouts.discarded)),
            "objective/extra_rounds": float(rollouts.rounds),
            **resource_metrics(seconds, collected.sampled_tokens, learned.tokens, self._pool.statistics()),
            **utilisation_metrics(
                collected.groups,
                self._session.arch,
                update_seconds=seconds["update"],
                epochs=self._config.training.epochs,
                scorings=self._learner.num_scorings,
                adapters_only=self._session.lora is not None,
                device_flops=peak_flops_of_all(),
            ),
        }
        if self._twin_usage:
            metrics |= self._twin_usage.observe(collected.groups)
        self._phases.observe(step, metrics)
        return metrics if phase is None else {**metrics, "curriculum/phase": float(phase)}

    def _start(self) -> tuple[int, TrainState]:
        """Steps done and the state to go on with; cuts the log back to there."""
        restored = self._checkpoints.restore(self._learner.abstract_state())
        if restored is None:
            done, state = 0, self._learner.initial_state(self._session.params)
        else:
            done, state = restored
            if not self._session.lora:
                for leaf in jax.tree.leaves(self._session.params):
                    leaf.delete()  # the starting weights, of which the reference has its own copy
            logger.info("going on after step %d", done)
        # What no checkpoint of this very run stands behind is of another course: all of it, where the run starts afresh
        # or goes on from another run's checkpoint. Checkpoint 0 comes before line 0.
        kept = self._checkpoints.latest_step() or -1
        self._log.truncate_after(kept)
        self._evaluations.truncate_after(kept)
        return done, state

    def _save_if_due(self, figures: Mapping[str, float], leaving: bool = False) -> None:
        """Save when it is time, for a good evaluation, and when the loop is left."""
        if self._checkpoints.due(self._done, figures, leaving):
            self._save()

    def _save(self) -> None:
        self._log.stage("saving")
        self._checkpoints.save(self._done, self._state)

    def _evaluate_if_due(self, step: int) -> dict[str, float]:
        """Metrics of the evaluation after a step; none where none is due."""
        if not self._evaluations.due(step):
            return {}
        start = time.perf_counter()
        self._log.stage("evaluating")
        self._source.pause()
        weights = self._session.engine.serve(self._learner.policy(self._state))
        figures = self._evaluations.run(weights, step, int(self._state.num_updates))
        self._log.note(_evaluation_line(step, figures))
        return {**figures, "time/evaluation_seconds": time.perf_counter() - start}

    def _finish(self) -> RunResult:
        finished = self._done >= self._total_steps
        if self._twin_usage and is_main():
            self._twin_usage.write(self._folder.reasoning_tokens)
        if finished:
            write_final_model(self._folder, self._session, self._learner.policy(self._state), self._config.model)
        report = self._log.finish()
        rows = read_metrics(self._folder.metrics) if is_main() else []
        first, last = first_and_last_fifth(rows, "reward/mean") or (float("nan"), float("nan"))
        return RunResult(self._folder.path, self._folder.final_model, report, self._done, finished, first, last)


def _evaluation_line(step: int, figures: dict[str, float]) -> str:
    shown = [f"{name.split('/')[1]} {value:.3f}" for name, value in figures.items() if name.endswith("/pass@1")]
    return f"evaluation after step {step}: pass@1 {', '.join(shown)}"
