//! Randomness: for generated passwords and keys. The planner needs none.

/// The only source of randomness.
pub trait Rng: Send + Sync {
    /// Fills `buffer` with random bytes fit for keys.
    fn fill(&self, buffer: &mut [u8]);
}

/// The kernel's random source.
#[derive(Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the kernel gives random bytes");
    }
}

/// A password of `length` letters and digits: safe in any URL, without modulo bias.
pub fn letters_and_digits(rng: &dyn Rng, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 64];
        rng.fill(&mut bytes);
        // 248 is the largest multiple of 62 in a byte: above it a letter would be likelier.
        let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| char::from(ALPHABET[usize::from(*byte) % 62]));
        text.extend(fair.take(length - text.len()));
    }
    text
}
