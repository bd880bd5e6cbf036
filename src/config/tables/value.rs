//! The kinds of values, each with its name in the reference.

use schemars::JsonSchema;

/// A string; `${…}` in it is replaced.
#[derive(JsonSchema)]
#[schemars(rename = "string", inline)]
pub struct Text(pub String);

/// A whole number, or a string that is one after interpolation.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "number", inline)]
pub enum Number {
    /// As a number.
    Number(i64),
    /// As a string.
    Text(String),
}

/// A number that may have a fraction, or a string that is one after interpolation.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "number", inline)]
pub enum Fraction {
    /// As a number.
    Number(f64),
    /// As a string.
    Text(String),
}

/// true or false, or a string that is one after interpolation.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "boolean", inline)]
pub enum Flag {
    /// As a boolean.
    Flag(bool),
    /// As a string.
    Text(String),
}

/// A duration: `"500ms"`, `"10s"`, `"1h"`, `"7d"`.
#[derive(JsonSchema)]
#[schemars(rename = "duration", inline)]
pub struct Duration(pub String);

/// A size: `"512M"`, `"2G"`.
#[derive(JsonSchema)]
#[schemars(rename = "size", inline)]
pub struct Size(pub String);

/// A command: a string, split as a shell would without running one, or an array of words.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "command", inline)]
pub enum Command {
    /// As a string.
    Line(String),
    /// As words.
    Words(Vec<String>),
}

/// A value of a table of variables.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "value", inline)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// A number.
    Number(f64),
    /// A boolean.
    Flag(bool),
}

/// A value or a table in its place.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub enum Either<A, B> {
    /// The short form.
    Short(A),
    /// The long form.
    Long(B),
}
