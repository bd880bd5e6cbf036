//! What comes from outside, mutated: nothing panics, hangs or is refused without a word. `make fuzz FOR=10m`
//! goes on for as long as it is told. What is found is kept in `found/` and tried again ever after.

mod driver;
mod manifest;
mod mutation;
mod requests;
mod stack;
mod state;
