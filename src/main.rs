//! The binary: wires, prints an error chain once, sets the exit code.

fn main() -> std::process::ExitCode {
    witwd::cli::main(std::env::args_os())
}
