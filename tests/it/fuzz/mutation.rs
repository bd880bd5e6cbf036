//! Mutations of real examples: what goes wrong with bytes on their way, and what people do to text.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// What inputs are made from.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    /// Real ones.
    pub examples: Vec<Vec<u8>>,
    /// Words of the grammar, and others that are likely to hurt.
    pub words: Vec<Vec<u8>>,
}

/// The longest input: longer ones find nothing that this does not.
const LONGEST: usize = 1 << 16;

/// One change. Places are parts of whatever is there when it is made.
#[derive(Debug, Clone)]
enum Mutation {
    Flip {
        at: Index,
        bit: u8,
    },
    Truncate {
        at: Index,
    },
    Remove {
        at: Index,
        count: usize,
    },
    Repeat {
        at: Index,
        count: usize,
        times: usize,
    },
    Noise {
        at: Index,
        bytes: Vec<u8>,
    },
    Word {
        at: Index,
        replaced: usize,
        word: Index,
    },
    Splice {
        at: Index,
        other: Index,
        from: Index,
        count: usize,
    },
    /// A line of another example, at the beginning of a line.
    Line {
        at: Index,
        other: Index,
        line: Index,
    },
    DropLine {
        line: Index,
    },
    MoveLine {
        from: Index,
        to: Index,
    },
}

/// An input: an example, or nothing, and what was done to it.
#[derive(Debug, Clone)]
pub struct Case {
    example: Index,
    mutations: Vec<Mutation>,
}

/// Inputs with up to `most` changes, half of them with one or two; with fewer when one that fails is made small.
pub fn cases(most: usize) -> impl Strategy<Value = Case> {
    let mutations = prop_oneof![vec(mutation(), 0..=2), vec(mutation(), 0..=most)];
    (any::<Index>(), mutations).prop_map(|(example, mutations)| Case { example, mutations })
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        2 => (at(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip { at, bit }),
        1 => at().prop_map(|at| Mutation::Truncate { at }),
        2 => (at(), 1..64_usize).prop_map(|(at, count)| Mutation::Remove { at, count }),
        1 => (at(), 1..64_usize, 1..200_usize).prop_map(|(at, count, times)| Mutation::Repeat { at, count, times }),
        1 => (at(), vec(any::<u8>(), 1..32)).prop_map(|(at, bytes)| Mutation::Noise { at, bytes }),
        6 => (at(), 0..16_usize, at()).prop_map(|(at, replaced, word)| Mutation::Word { at, replaced, word }),
        2 => (at(), at(), at(), 1..200_usize).prop_map(|(at, other, from, count)| Mutation::Splice { at, other, from, count }),
        6 => (at(), at(), at()).prop_map(|(at, other, line)| Mutation::Line { at, other, line }),
        2 => at().prop_map(|line| Mutation::DropLine { line }),
        2 => (at(), at()).prop_map(|(from, to)| Mutation::MoveLine { from, to }),
    ]
}

impl Case {
    /// The bytes that it stands for.
    pub fn input(&self, corpus: &Corpus) -> Vec<u8> {
        let number = self.example.index(corpus.examples.len() + 1);
        let mut input = corpus.examples.get(number).cloned().unwrap_or_default();
        for mutation in &self.mutations {
            mutation.make(&mut input, corpus);
            input.truncate(LONGEST);
        }
        input
    }
}

impl Mutation {
    fn make(&self, input: &mut Vec<u8>, corpus: &Corpus) {
        match self {
            Self::Flip { at, bit } => {
                let at = place(*at, input.len());
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Truncate { at } => input.truncate(place(*at, input.len())),
            Self::Remove { at, count } => put(input, *at, *count, &[]),
            Self::Repeat { at, count, times } => {
                let from = place(*at, input.len());
                let piece = input[from..(from + count).min(input.len())].repeat(*times);
                put(input, *at, 0, &piece);
            }
            Self::Noise { at, bytes } => put(input, *at, 0, bytes),
            Self::Word { at, replaced, word } if !corpus.words.is_empty() => {
                put(input, *at, *replaced, chosen(*word, &corpus.words));
            }
            Self::Splice { at, other, from, count } if !corpus.examples.is_empty() => {
                let other = chosen(*other, &corpus.examples);
                let from = place(*from, other.len());
                put(input, *at, 0, &other[from..(from + count).min(other.len())]);
            }
            Self::Line { at, other, line } if !corpus.examples.is_empty() => {
                let other = lines(chosen(*other, &corpus.examples));
                let mut own = lines(input);
                own.insert(place(*at, own.len()), line.get(&other).clone());
                *input = own.concat();
            }
            Self::DropLine { line } => {
                let mut own = lines(input);
                own.remove(line.index(own.len()));
                *input = own.concat();
            }
            Self::MoveLine { from, to } => {
                let mut own = lines(input);
                let line = own.remove(from.index(own.len()));
                own.insert(place(*to, own.len()), line);
                *input = own.concat();
            }
            Self::Word { .. } | Self::Splice { .. } | Self::Line { .. } => {}
        }
    }
}

fn chosen(number: Index, all: &[Vec<u8>]) -> &[u8] {
    &all[number.index(all.len())]
}

/// A place between the bytes, its beginning and its end included.
fn place(at: Index, length: usize) -> usize {
    at.index(length + 1)
}

fn put(input: &mut Vec<u8>, at: Index, replaced: usize, bytes: &[u8]) {
    let from = place(at, input.len());
    let to = (from + replaced).min(input.len());
    drop(input.splice(from..to, bytes.iter().copied()));
}

/// The lines with their ends; of nothing an empty one.
fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).chain(bytes.is_empty().then(Vec::new)).collect()
}
