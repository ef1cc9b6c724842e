"""What the mono and the stereo node share: transitions, timers and the way of a frame.

Threads: the executor's thread runs all transitions, timers and subscriptions, and only pairs
messages; the worker's thread decodes, estimates, encodes and publishes. Between them lies a
mailbox with one slot.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

from depth_perception.inference.estimator import open_estimator, Opener
from depth_perception.inference.estimator_base import DepthEstimator
from depth_perception.messages.frames import FrameReader, MessageSet
from depth_perception.parameters import NodeSettings
from depth_perception.ros.diagnostics import Condition, DiagnosticsPublisher
from depth_perception.ros.inputs import Inputs
from depth_perception.ros.ledger import Ledger
from depth_perception.ros.lifecycle import reports_failure
from depth_perception.ros.outputs import Outputs
from depth_perception.ros.parameters import ParameterBinding, unknown_parameters
from depth_perception.ros.references import ReferenceInputs
from depth_perception.ros.report import (
    figures_of_estimator,
    figures_of_inputs,
    figures_of_ledger,
    figures_of_worker,
    sparse_estimate,
)
from depth_perception.ros.worker import Worker
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

_GRAPH_PERIOD_S = 0.2


class DepthNode(LifecycleNode, abc.ABC):  # type: ignore[misc]
    """A camera in, metric depth with its standard deviation out.

    Attributes:
        trouble: Why the last transition failed; '' if it did not.
        state: Label of the lifecycle state.
        report_status: Publishes how the node is.

    Args:
        name: Name of the node, unless remapped.
        opener: Opens the network, where several nodes share one.
        options: Passed on to the node, e.g. `context` and `parameter_overrides`.

    Raises:
        SettingsError: If a parameter given at start is not accepted.
    """

    settings_class: ClassVar[type[NodeSettings]]
    image_names: ClassVar[tuple[str, ...]]

    def __init__(self, name: str, opener: Opener | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self._opener = opener
        self.trouble = ''
        self.state = 'unconfigured'
        self._binding = ParameterBinding(self, self.settings_class)
        for unknown, hint in unknown_parameters(self).items():
            self.get_logger().warning(f'parameter {unknown} is not known and ignored; {hint}')
        self._ledger = Ledger(self.get_logger(), self.context.ok)
        self._estimator: DepthEstimator[Any] | None = None
        self._last_backend = ('', '')
        self._outputs: Outputs | None = None
        self._inputs: Inputs | None = None
        self._references: ReferenceInputs | None = None
        self._worker: Worker | None = None
        self._graph_timer: Any = None
        self._diagnostics = DiagnosticsPublisher(self)
        # Steady time: with use_sim_time and no /clock, a timer of the node would never fire.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.report_status = self._ledger.surviving('the status report', self._report_status)
        self.create_timer(
            self.settings.diagnostics_period_s, self.report_status, clock=self._steady
        )
        self._jump_handle = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1)),
            post_callback=self._on_clock_jump,
        )
        self.report_status()
        if self.settings.autostart:
            self._start_timer = self.create_timer(0.0, self._autostart, clock=self._steady)

    @property
    def settings(self) -> Any:
        """The settings in force, an immutable snapshot."""
        return self._binding.current

    @abc.abstractmethod
    def make_reader(self, topics: Sequence[str]) -> FrameReader:
        """Return what makes frames of the messages of `topics`."""

    # Transitions

    @reports_failure
    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Open the estimator and offer the outputs."""
        del state
        self._binding.refresh()
        try:
            self._acquire()
        except BaseException:
            self._release()
            raise
        self.state = 'inactive'
        return TransitionCallbackReturn.SUCCESS

    @reports_failure
    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Start the worker and watch for subscribers."""
        result = super().on_activate(state)
        try:
            self._begin()
        except BaseException:
            self._stop()
            raise
        self.state = 'active'
        return result

    @reports_failure
    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Stop receiving and finish the frame in hand."""
        self._stop()
        self.state = 'inactive'
        return super().on_deactivate(state)

    @reports_failure
    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Free the estimator and withdraw the outputs."""
        del state
        self._release()
        return TransitionCallbackReturn.SUCCESS

    @reports_failure
    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """Stop and free everything, from any state."""
        del state
        self._stop()
        self._release()
        self.state = 'finalized'
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """Free everything after a defect, so that the node can be configured again."""
        del state
        self._stop()
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def close(self, timeout_s: float) -> None:
        """Stop the worker for good; called when the process ends."""
        if self._worker is not None:
            self._worker.stop(timeout_s)
        self._jump_handle.unregister()

    def destroy_node(self) -> None:
        """Leave the graph at once.

        rclpy forgets the state machine, which would hold the node in the middleware until the
        garbage collector comes by, and the participant would go in the midst of anything.
        """
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _acquire(self) -> None:
        """Make what lives from configure to cleanup."""
        self._estimator = open_estimator(self.settings, self._opener)
        self.get_logger().info(
            f'model {self._estimator.card.id} on {self._estimator.backend.description}'
        )
        self._last_backend = (self._estimator.backend.name, '')
        artifact = self._estimator.card.artifact
        if artifact.commercial is not True:
            self.get_logger().warning(
                f'licence of {self._estimator.card.id}: {artifact.licence}; commercial use '
                f'{"needs a look at it" if artifact.commercial else "is not allowed"}'
            )
        estimator = self._estimator
        for problem in (estimator.fallback, estimator.metric_problem, estimator.sigma.warning):
            if problem:
                self.get_logger().warning(problem)
        self._outputs = Outputs(self, stereo=len(self.image_names) == 2)
        self._inputs = Inputs(
            self, self.image_names, self.settings, self._ledger, self._on_messages
        )
        self._references = ReferenceInputs(self, lambda: self.settings, self._ledger)

    def _begin(self) -> None:
        """Make what lives from activate to deactivate."""
        assert self._estimator is not None
        assert self._outputs is not None
        assert self._inputs is not None
        assert self._references is not None
        topics = [topic.topic for topic in self._inputs.topics]
        reader = self.make_reader(topics)
        reader.surround = self._references.with_surroundings
        self._worker = Worker(
            self._estimator,
            reader,
            self._outputs,
            self._ledger,
            settings=lambda: self.settings,
            now_ns=lambda: int(self.get_clock().now().nanoseconds),
        )
        self._worker.start()
        watch = self._ledger.surviving('watching the graph', self._watch_graph)
        self._graph_timer = self.create_timer(_GRAPH_PERIOD_S, watch, clock=self._steady)
        self._watch_graph()
        self.get_logger().info(f'active; inputs are {", ".join(topics)}')

    def _stop(self) -> None:
        if self._graph_timer is not None:
            self.destroy_timer(self._graph_timer)
            self._graph_timer = None
        if self._inputs is not None:
            self._inputs.close()
        if self._references is not None:
            self._references.close()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _release(self) -> None:
        self.state = 'unconfigured'
        self._inputs = self._references = None
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None
        if self._estimator is not None:
            self._estimator.close()
            self._estimator = None

    # Callbacks of the executor

    def _autostart(self) -> None:
        """Bring the node up by itself; a failed transition has already said why."""
        self.destroy_timer(self._start_timer)
        if self.state == 'unconfigured':
            self.trigger_configure()
        if self.state == 'inactive':
            self.trigger_activate()

    def _on_messages(self, messages: MessageSet) -> None:
        if self._worker is not None:
            self._worker.deliver(messages)

    def _watch_graph(self) -> None:
        """Subscribe while somebody listens, and adapt to publishers that come and go."""
        self._binding.refresh()
        if self._inputs is None or self._outputs is None or self._references is None:
            return
        wanted = self._outputs.wanted()
        if wanted or not self.settings.lazy:
            self._inputs.follow()
            self._references.follow(motion='points_nav' in wanted)
            waiting = self._inputs.waiting()
            if waiting:
                self._ledger.warn('waiting', waiting)
        elif self._inputs.is_open:
            self._inputs.close()
            self._references.close()

    def _on_clock_jump(self, jump: Any) -> None:
        del jump
        if self._inputs is not None:
            self._ledger.warn('jump', 'the clock jumped; starting afresh')
            self._inputs.forget()
        if self._references is not None:
            self._references.forget()

    def _metric_problem(self) -> str:
        """Return why there are no metres, as the last frame or else the estimator says."""
        if self._worker is not None and (self._worker.not_metric or self._worker.newest):
            return self._worker.not_metric
        return (self._estimator.metric_problem or '') if self._estimator is not None else ''

    def _watch_backend(self) -> str:
        """Log what runs the network when that changes; return what is wrong with it."""
        if self._estimator is None:
            return ''
        backend = self._estimator.backend
        if (backend.name, backend.warning) != self._last_backend:
            if backend.name != self._last_backend[0]:
                self.get_logger().info(f'the network runs on {backend.description}')
            self._last_backend = (backend.name, backend.warning)
        if backend.warning:
            self._ledger.warn('backend', backend.warning)
        return backend.warning

    def _report_status(self) -> None:
        """Publish how the node is; called by a timer and after each transition."""
        mismatches: list[str] = []
        figures = {'state': self.state, **figures_of_ledger(self._ledger)}
        wanted: Sequence[str] = ()
        waiting = losses = sparse = dishonest = ''
        if self._references is not None:
            mismatches += self._references.mismatches()
            figures |= self._references.figures()
        if self._inputs is not None and self._outputs is not None:
            mismatches += self._inputs.mismatches() + self._outputs.mismatches()
            for reason in mismatches:
                self._ledger.warn(reason, f'incompatible QoS on {reason}')
            wanted = sorted(self._outputs.wanted())
            waiting, losses = self._inputs.waiting(), self._inputs.losses()
            if losses and not waiting:
                self._ledger.warn('losses', losses)
            figures |= figures_of_inputs(self._inputs)
            figures['qos mismatches'] = len(mismatches)
        if self._estimator is not None:
            figures |= figures_of_estimator(self._estimator)
            dishonest = self._estimator.sigma.alarm
            if dishonest:
                self._ledger.warn('dishonest', dishonest)
        worker = self._worker
        if worker is not None:
            figures |= figures_of_worker(worker)
            sparse = sparse_estimate(worker, stereo=len(self.image_names) == 2) if wanted else ''
            if sparse:
                self._ledger.warn('sparse', sparse)
        condition = Condition(
            state=self.state,
            trouble=self.trouble,
            not_metric=self._metric_problem(),
            jump=worker.recent_jump() if worker else '',
            wanted=wanted,
            waiting=waiting,
            losses='' if waiting else losses,
            sparse='' if waiting else sparse,
            dishonest=dishonest,
            mismatches=mismatches,
            backend=self._watch_backend(),
            recent_drop=self._ledger.recent_drop(),
            rate_hz=worker.rate.rate_hz() if worker else 0.0,
        )
        self._diagnostics.publish(condition, figures)
