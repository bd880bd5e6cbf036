//! The tables of secrets and volumes.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::value::{Command, Either, Flag, Number, Scalar, Text};

tables! {
    /// One source of `env`, `file`, `command`, `generate`, or none: kept by witwd.
    Secret = "secret" {
        /// A variable of the environment.
        env: Text,
        /// A file.
        file: Text,
        /// A command; its output is the value.
        command: Command,
        /// Made once: that many letters and digits, or a table.
        generate: Either<Number, Generate>,
        /// Owner of its file. Default: the container's user.
        uid: Number,
        /// Group of its file.
        gid: Number,
        /// Mode of its file, in octal digits. Default: `"0400"`.
        mode: Text,
    }

    /// Random bytes.
    Generate = "generate" {
        /// How many.
        bytes: Number,
        /// `hex` (default), `base64`, `base64url`.
        encoding: Text,
        /// Text before it.
        prefix: Text,
    }

    /// A named volume.
    Volume = "volume" {
        /// A directory that holds it, in the stack's or below `host_paths`. Default: the engine's own place.
        path: Text,
        /// It is made by somebody else and never removed. Default: false.
        external: Flag,
        /// Driver. Default: the engine's.
        driver: Text,
        /// Options of the driver.
        options: BTreeMap<String, Scalar>,
        /// Labels of your own.
        labels: BTreeMap<String, Scalar>,
        /// The name its data lies under until now.
        renamed_from: Text,
    }
}
