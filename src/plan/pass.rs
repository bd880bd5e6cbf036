//! The plan while it is being made.

use std::collections::BTreeSet;

use super::action::{Action, Blocked, Plan, Planned};
use super::inputs::Inputs;
use crate::model::health::Subject;
use crate::model::history::{FailureKind, Target};
use crate::model::time::Moment;

/// Collects actions, blocks and the next look.
pub struct Pass<'a> {
    /// What the plan is derived from.
    pub inputs: &'a Inputs<'a>,
    plan: Plan,
    /// The targets of its actions.
    planned: BTreeSet<Target>,
}

impl<'a> Pass<'a> {
    /// An empty plan.
    pub fn new(inputs: &'a Inputs<'a>) -> Self {
        Self { inputs, plan: Plan::default(), planned: BTreeSet::new() }
    }

    /// The plan, blocks in order of target.
    pub fn finish(mut self) -> Plan {
        self.plan.blocked.sort_by(|one, other| one.target.cmp(&other.target));
        self.plan.blocked.dedup();
        self.plan
    }

    /// Adds an action, unless its target is busy, or failed lately at what this one would need.
    pub fn act(&mut self, action: Action, cause: impl Into<String>) {
        let target = action.target();
        let is_spared = action.verb() != Action::REMOVE && self.failed_to_remove(&target);
        if !self.is_busy(&target) && (is_spared || !self.waits_after_failure(&target)) {
            self.add(action, target, cause.into());
        }
    }

    fn add(&mut self, action: Action, target: Target, cause: String) {
        self.planned.insert(target);
        self.plan.actions.push(Planned { action, cause });
    }

    /// Adds an action that is the answer to its target's last failure, unless it is busy.
    pub fn act_despite_failure(&mut self, action: Action, cause: impl Into<String>) {
        let target = action.target();
        if !self.is_busy(&target) {
            self.add(action, target, cause.into());
        }
    }

    /// Notes that something can't be done now.
    pub fn block(&mut self, target: Target, cause: impl Into<String>) {
        let cause = cause.into();
        self.plan.blocked.push(Blocked { target, cause, needs_operator: false, protects_data: false, until: None });
    }

    /// Notes that something can't be done before a moment; then it is looked at again.
    pub fn block_until(&mut self, target: Target, cause: impl Into<String>, until: Moment) {
        self.wake(until);
        let (cause, until) = (cause.into(), Some(until));
        self.plan.blocked.push(Blocked { target, cause, needs_operator: false, protects_data: false, until });
    }

    /// Notes that only a person can go on.
    pub fn needs_operator(&mut self, target: Target, cause: impl Into<String>) {
        let cause = cause.into();
        self.plan.blocked.push(Blocked { target, cause, needs_operator: true, protects_data: false, until: None });
    }

    /// Notes that going on would lose data, or misread it, and that a person must say what is meant.
    pub fn protect_data(&mut self, target: Target, cause: impl Into<String>) {
        let cause = cause.into();
        self.plan.blocked.push(Blocked { target, cause, needs_operator: true, protects_data: true, until: None });
    }

    /// Whether something is refused to protect data.
    pub fn protects_data(&self) -> bool {
        self.plan.blocked.iter().any(|blocked| blocked.protects_data)
    }

    /// Asks for another look at `moment` at the latest.
    pub fn wake(&mut self, moment: Moment) {
        self.plan.wake_at = Some(self.plan.wake_at.map_or(moment, |at| at.min(moment)));
    }

    /// Asks for a probe of these at once.
    pub fn ask(&mut self, subjects: impl IntoIterator<Item = Subject>) {
        self.plan.asked.extend(subjects);
    }

    /// Whether an action on the target is under way or already planned.
    pub fn is_busy(&self, target: &Target) -> bool {
        self.inputs.in_flight.contains_key(target) || self.planned.contains(target)
    }

    /// Whether an action whose target and kind this tests for is planned already.
    pub fn plans(&self, test: impl Fn(&Action) -> bool) -> bool {
        self.plan.actions.iter().any(|planned| test(&planned.action))
    }

    /// Whether what failed last was the removal of a container: the engine may refuse it for hours,
    /// so it holds up other removals and nothing else.
    pub fn failed_to_remove(&self, target: &Target) -> bool {
        self.inputs.history.failures.get(target).is_some_and(|failure| failure.operation == Action::REMOVE)
    }

    /// Whether the target's last action failed and its delay is not over: it is shown as blocked by
    /// its error.
    pub fn waits_after_failure(&mut self, target: &Target) -> bool {
        let Some(failure) = self.inputs.history.failures.get(target) else {
            return false;
        };
        if failure.kind == FailureKind::NeedsOperator {
            self.needs_operator(target.clone(), failure.error.clone());
            return true;
        }
        if failure.not_before <= self.inputs.now {
            return false;
        }
        self.block_until(target.clone(), failure.error.clone(), failure.not_before);
        true
    }
}
