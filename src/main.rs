//! The program: arguments in, an exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    dist_chat::run(std::env::args_os())
}
