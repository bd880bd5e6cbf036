//! What runs covered: a fault that never took effect tests nothing.

use std::collections::BTreeMap;
use std::fmt;

use witwd::engine::sim::FaultKind;

/// How often kinds of faults had an effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Runs.
    pub runs: u64,
    /// Runs in which something happened and its answer was lost.
    pub effect_then_error: u64,
    /// By the name of the kind.
    pub effects: BTreeMap<String, u64>,
}

impl Coverage {
    /// Notes effects of one kind.
    pub fn add(&mut self, kind: &str, count: u64) {
        *self.effects.entry(kind.to_owned()).or_default() += count;
    }

    /// Notes what an engine did.
    pub fn add_engine(&mut self, effects: &BTreeMap<FaultKind, u64>) {
        for kind in FaultKind::ALL {
            self.add(&format!("{kind:?}"), effects.get(&kind).copied().unwrap_or_default());
        }
        self.effect_then_error += u64::from(effects.contains_key(&FaultKind::LostAck));
    }

    /// Takes in what other runs covered.
    pub fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.effect_then_error += other.effect_then_error;
        for (kind, count) in &other.effects {
            self.add(kind, *count);
        }
    }

    /// Kinds that had an effect fewer times than `least`.
    pub fn rare(&self, least: u64) -> Vec<&str> {
        self.effects.iter().filter(|(_, count)| **count < least).map(|(kind, _)| kind.as_str()).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.effect_then_error * 100 / self.runs.max(1);
        writeln!(formatter, "{} runs, {percent} % of them with an effect whose answer was lost; effects of faults:", self.runs)?;
        self.effects.iter().try_for_each(|(kind, count)| writeln!(formatter, "  {kind:<16} {count:>8}"))
    }
}
