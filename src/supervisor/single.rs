//! Single actions for a verb of the command line that needs no loop, carried out by the same `apply`.
//! What is to be done is decided by the verb; nothing is planned, remembered or tried again here.
//!
//! Entry point: [`Machine::single`].

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::apply::{Context, Order, apply, make_secrets_directory};
use super::create::{self, OneOff};
use super::event::{ActionError, Effect, Event};
use super::keeper::DataDirectory;
use super::start::{Machine, known_passwords};
use crate::model::name::{ContainerId, ReplicaKey};
use crate::model::stack::Stack;
use crate::model::workload::Workload;
use crate::plan::Action;

/// Carries out single actions of a stack.
pub struct Single {
    pub(super) context: Context,
    pub(super) stack: Arc<Stack>,
    events: mpsc::UnboundedReceiver<Event>,
}

/// What is heard of actions that are carried out.
#[derive(Debug)]
pub enum Step {
    /// This one went on.
    Progress(Action, String),
    /// This one is over.
    Done(Action, Result<Effect, ActionError>),
}

impl Machine {
    /// What carries out single actions of `stack`. It only looks at what a daemon keeps: it may run
    /// beside one.
    pub fn single(self, stack: Arc<Stack>) -> Single {
        let passwords = Arc::new(known_passwords(self.disk.clone(), &self.state_directory, &stack));
        let (sender, events) = mpsc::unbounded_channel();
        let hands = self.hands(&passwords);
        Single { context: self.context(&hands, sender), stack, events }
    }
}

impl Single {
    /// Makes a one-off container of a workload; it is not started.
    pub async fn make(&self, workload: &Workload, one_off: OneOff) -> Result<ContainerId, ActionError> {
        let key = ReplicaKey { name: workload.name.clone(), replica: one_off.process };
        let request = create::one_off_request(&self.context, &self.stack, workload, one_off)?;
        make_secrets_directory(&self.context, workload, &key)?;
        Ok(self.context.engine.create(&request).await?)
    }

    /// Carries out one action that has no progress to tell of.
    pub async fn carry_out_one(&self, action: &Action) -> Result<Effect, ActionError> {
        apply(&self.context, &self.stack, &order(action)).await
    }

    /// Carries out all of these at once, as many as an engine is given; `heard` is told how it goes.
    pub async fn carry_out(&mut self, actions: &[Action], mut heard: impl FnMut(Step)) {
        let (context, stack, events) = (&self.context, &self.stack, &mut self.events);
        let one = |action: &Action| {
            let order = order(action);
            async move { (apply(context, stack, &order).await, order.action) }
        };
        let mut under_way: FuturesUnordered<_> = actions.iter().map(one).collect();
        while !under_way.is_empty() {
            tokio::select! {
                biased;
                Some(event) = events.recv() => {
                    if let Event::Progress { target, latest } = event
                        && let Some(words) = latest.take()
                        && let Some(action) = actions.iter().find(|action| action.target() == target)
                    {
                        heard(Step::Progress(action.clone(), words));
                    }
                }
                Some((result, action)) = under_way.next() => heard(Step::Done(action, result)),
            }
        }
    }
}

fn order(action: &Action) -> Order {
    Order {
        action: action.clone(),
        data_directory: DataDirectory::default(),
        leaving: None,
        ports: Vec::new(),
        cause: String::new(),
    }
}
