//! The program: arguments in, an exit code out.

use std::io::Write as _;
use std::process::ExitCode;

use dist_chat::cli::{self, Quit, Request};
use dist_chat::failure::{Exit, Failure};
use dist_chat::{app, status};

fn main() -> ExitCode {
    let request = match cli::parse(std::env::args_os()) {
        Ok(request) => request,
        Err(Quit::Print(text)) => return print(&text),
        Err(Quit::Failure(failure)) => return fail(&failure),
    };
    let outcome = match request {
        Request::Chat(chat) => app::run(&chat).map(|()| String::new()),
        Request::Status(query) => status::client::ask(&query),
    };
    match outcome {
        Ok(text) => print(&text),
        Err(failure) => fail(&failure),
    }
}

/// A closed standard output is no reason to complain.
fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    Exit::Left.into()
}

fn fail(failure: &Failure) -> ExitCode {
    eprintln!("{failure}");
    failure.exit.into()
}
