//! The printed table.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Context as _;

/// Characters of a row's label.
const LABEL: usize = 50;

/// The results, as text.
#[derive(Debug, Default)]
pub struct Table {
    text: String,
    ratios: Vec<String>,
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sentence about the whole run.
    pub fn remark(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Begins a part with the names of its columns.
    pub fn part(&mut self, title: &str, columns: &[&str]) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.row(title, columns);
    }

    /// Adds a row.
    pub fn row(&mut self, label: &str, cells: &[impl AsRef<str>]) {
        let mut row = format!("{label:<LABEL$}");
        for cell in cells {
            // Writing to a string cannot fail.
            let _ = write!(row, " {:>11}", cell.as_ref());
        }
        self.text.push_str(row.trim_end());
        self.text.push('\n');
    }

    /// Adds a ratio and its target.
    pub fn ratio(&mut self, label: &str, value: f64, aim: Aim) {
        let (aim, met) = match aim {
            Aim::AtLeast(bound) => (format!("at least {bound}"), value >= bound),
            Aim::AtMost(bound) => (format!("at most {bound}"), value <= bound),
        };
        let verdict = if met { "met" } else { "MISSED" };
        self.ratios.push(format!("{label:<LABEL$} {value:>11.3} {aim:>14}  {verdict}"));
    }

    /// Prints everything.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn print(&self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let write = |out: &mut std::io::StdoutLock<'_>| -> std::io::Result<()> {
            out.write_all(self.text.as_bytes())?;
            if !self.ratios.is_empty() {
                writeln!(out, "\n{:<LABEL$} {:>11} {:>14}", "ratios within this run", "", "aim")?;
            }
            for ratio in &self.ratios {
                writeln!(out, "{ratio}")?;
            }
            out.flush()
        };
        write(&mut out).context("cannot write to standard output")
    }
}

/// The target of a ratio.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// A rate: `812 k`, `4.31 M`.
pub fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 1e6 => format!("{:.2} M", r / 1e6),
        r if r >= 1e3 => format!("{:.0} k", r / 1e3),
        r => format!("{r:.0}"),
    }
}

/// A time in microseconds: `87 us`, `12.3 ms`.
pub fn time(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{:.2} s", us / 1e6),
        us if us >= 1e4 => format!("{:.1} ms", us / 1e3),
        us => format!("{us:.0} us"),
    }
}
