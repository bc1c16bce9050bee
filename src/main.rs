//! The program: arguments in, an exit code out.

use std::io::Write as _;
use std::process::ExitCode;

use dist_chat::cli::{self, Quit, Request};
use dist_chat::failure::{Exit, Failure};
use dist_chat::{app, status};

fn main() -> ExitCode {
    let request = match cli::parse(std::env::args_os()) {
        Ok(request) => request,
        Err(Quit::Clap(said)) => {
            // Help and version go to standard output; a closed one is no reason to complain.
            let _ = said.print();
            return if said.use_stderr() { Exit::Usage.into() } else { Exit::Left.into() };
        }
        Err(Quit::Failure(failure)) => return fail(&failure),
    };
    let outcome = match request {
        Request::Chat(chat) => app::run(&chat),
        Request::Status(query) => status::client::ask(&query).map(|answer| {
            let _ = std::io::stdout().write_all(answer.as_bytes());
        }),
    };
    match outcome {
        Ok(()) => Exit::Left.into(),
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    eprintln!("{failure}");
    failure.exit.into()
}
