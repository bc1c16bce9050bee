//! The program: arguments in, an exit code out.

use std::io::{self, Write as _};
use std::process::ExitCode;

use dist_chat::cli::{self, Quit, Request, manual};
use dist_chat::failure::{Exit, Failure, cannot_write, complain};
use dist_chat::key::tool;
use dist_chat::{app, attach, bench, doctor, history, status};

fn main() -> ExitCode {
    let request = match cli::parse(std::env::args_os()) {
        Ok(request) => request,
        Err(Quit::Print(text)) => return print(&text),
        Err(Quit::Failure(failure)) => return fail(&failure),
    };
    let outcome = match request {
        // Standard output is not touched after a chat: a reader that takes nothing may still hold its lock.
        Request::Chat(chat) => app::run(&chat).map(|()| Exit::Left.into()),
        Request::Attach(args) => attach::terminal::run(&args).map(|()| Exit::Left.into()),
        Request::Send(args) => attach::send::run(&args).map(|()| Exit::Left.into()),
        Request::Tail(args) => attach::tail::run(&args).map(|()| Exit::Left.into()),
        Request::Bench(args) => bench::run(args).map(|()| Exit::Left.into()).map_err(Failure::from),
        Request::History(args) => history::run(&args).map(|()| Exit::Left.into()),
        Request::Key(args) => tool::key(&args).map(|key| print(&key)),
        Request::Invite(args) => tool::invite(&args).map(|invite| print(&invite)),
        Request::Doctor(args) => doctor::run(&args),
        Request::Config(text) => Ok(print(&text)),
        Request::Completions(args) => Ok(print(&manual::completions(&args))),
        Request::Man(args) => manual::man(&args).map(|pages| print(&pages)),
        Request::Status(query) => status::client::ask(&query).map(|answer| print(&answer)),
    };
    outcome.unwrap_or_else(|failure| fail(&failure))
}

/// A closed standard output is no reason to complain.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&cannot_write(&error)),
        Ok(()) | Err(_) => Exit::Left.into(),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    complain(failure);
    failure.exit.into()
}
