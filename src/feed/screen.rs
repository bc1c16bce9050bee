//! Standard output, which may be slow, blocked or gone, and must never hold up the room.
//!
//! Lines wait in a bounded queue; a thread takes all of them at once and writes them with one call. When the queue has
//! been full, what was left out is counted, and the count is shown where those lines would have stood.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::stdout;
use crate::present::format;

/// Lines that wait for the screen.
pub const SCREEN_LINES_MAX: usize = 65_536;
/// Bytes that wait for the screen.
pub const SCREEN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes after which a piece of the queue is long enough for one write.
const PIECE_BYTES: usize = 64 * 1024;

/// A place above what is being typed, where text can be printed.
pub type Above = Box<dyn FnMut(String) -> io::Result<()> + Send>;

/// The queue before standard output; cheap to clone.
#[derive(Clone)]
pub struct Screen {
    shared: Arc<ScreenShared>,
}

struct ScreenShared {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Where the lines that were left out can be read.
    log_name: String,
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<String>,
    lines: usize,
    bytes: usize,
    /// Lines that found no room.
    left_out: usize,
    /// A piece is being written; so many lines of it are not yet.
    busy: Option<usize>,
    /// Writes, ever.
    written: u64,
    /// Nobody reads standard output any more.
    gone: bool,
    /// No more will come.
    closed: bool,
    above: Option<Above>,
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.pieces.is_empty() && self.left_out == 0 && self.busy.is_none()
    }

    /// Lines that somebody who still reads has not been shown.
    fn unseen(&self) -> usize {
        if self.gone { 0 } else { self.lines + self.left_out + self.busy.unwrap_or(0) }
    }

    /// What is to be written next.
    fn take(&mut self, log_name: &str) -> Option<String> {
        if let Some(piece) = self.pieces.pop_front() {
            self.bytes -= piece.len();
            self.lines -= count_lines(&piece);
            return Some(piece);
        }
        let left_out = std::mem::take(&mut self.left_out);
        (left_out > 0).then(|| {
            let mut piece = String::new();
            let lines = if left_out == 1 { "line" } else { "lines" };
            let are = if left_out == 1 { "it is" } else { "they are" };
            format::push_screen_event(&mut piece, &format!("{left_out} {lines} not shown here; {are} in {log_name}"));
            piece
        })
    }
}

fn count_lines(text: &str) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).count()
}

impl Screen {
    /// Starts the thread that writes to `out`. `gone` is called once, from that thread, when it takes no more, with
    /// the reason.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn start(
        out: impl Write + Send + 'static,
        log_name: String,
        gone: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let shared = Arc::new(ScreenShared { queue: Mutex::default(), changed: Condvar::new(), log_name });
        let screen = Self { shared: shared.clone() };
        let thread =
            std::thread::Builder::new().name("screen".to_owned()).spawn(move || write_all(&shared, out, gone))?;
        Ok((screen, thread))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows whole lines, of at most [`SCREEN_BYTES_MAX`] in all. Never waits.
    pub fn push(&self, text: &str) {
        if text.is_empty() {
            return;
        }
        let lines = count_lines(text);
        let mut queue = self.queue();
        if queue.gone || queue.closed {
            return;
        }
        let full = queue.lines + lines > SCREEN_LINES_MAX || queue.bytes + text.len() > SCREEN_BYTES_MAX;
        // Once lines were left out, the ones after them wait until that has been said.
        if full || queue.left_out > 0 {
            queue.left_out += lines;
            return;
        }
        queue.lines += lines;
        queue.bytes += text.len();
        match queue.pieces.back_mut() {
            Some(last) if last.len() + text.len() <= PIECE_BYTES => last.push_str(text),
            _ => queue.pieces.push_back(text.to_owned()),
        }
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// Shows a room event: `/// text ///`.
    pub fn event(&self, text: &str) {
        let mut line = String::new();
        format::push_screen_event(&mut line, text);
        self.push(&line);
    }

    /// From now on lines go above what is being typed; `None`: to standard output again.
    pub fn print_above(&self, above: Option<Above>) {
        self.queue().above = above;
    }

    /// Takes no more lines and waits until those that came before are written: as long as there is progress within
    /// `patience`. How many lines somebody who still reads has not been shown.
    pub fn finish(&self, patience: Duration) -> usize {
        let mut queue = self.queue();
        queue.closed = true;
        self.shared.changed.notify_all();
        let mut seen = (queue.written, Instant::now());
        while !queue.is_idle() && !queue.gone && seen.1.elapsed() < patience {
            if queue.written != seen.0 {
                seen = (queue.written, Instant::now());
            }
            let left = patience.saturating_sub(seen.1.elapsed());
            queue = self.shared.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.unseen()
    }

    /// How many lines somebody who still reads has not been shown by now.
    pub fn unseen(&self) -> usize {
        self.queue().unseen()
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.queue();
        f.debug_struct("Screen").field("lines", &queue.lines).field("bytes", &queue.bytes).finish_non_exhaustive()
    }
}

fn write_all(shared: &ScreenShared, mut out: impl Write, gone: impl FnOnce(io::Error)) {
    let lock = || shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
    let mut queue = lock();
    loop {
        let Some(piece) = queue.take(&shared.log_name) else {
            if queue.closed {
                return;
            }
            queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        queue.busy = Some(count_lines(&piece));
        let mut above = queue.above.take();
        drop(queue);
        let done = match &mut above {
            Some(print) => print(piece),
            None => stdout::write_all(&mut out, piece.as_bytes(), |part| {
                let mut queue = lock();
                queue.busy = queue.busy.map(|lines| lines.saturating_sub(memchr::memchr_iter(b'\n', part).count()));
                queue.written += 1;
                shared.changed.notify_all();
            }),
        };
        if let Err(error) = done {
            // Before anybody stops waiting for the rest.
            gone(error);
            queue = lock();
            queue.gone = true;
            queue.busy = None;
            queue.pieces.clear();
            return shared.changed.notify_all();
        }
        queue = lock();
        queue.busy = None;
        queue.written += 1;
        queue.above = queue.above.take().or(above);
        shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::io::Read as _;
    use std::sync::mpsc;

    use super::*;
    use crate::feed::stdout::StdoutWriter;

    /// Takes what is written only as fast as somebody receives it.
    struct Slow(mpsc::SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start() -> (Screen, JoinHandle<()>, mpsc::Receiver<Vec<u8>>, mpsc::Receiver<()>) {
        let (write, written) = mpsc::sync_channel(0);
        let (gone, is_gone) = mpsc::channel();
        let (screen, thread) =
            Screen::start(Slow(write), "chat_1.log".to_owned(), move |_| gone.send(()).unwrap()).unwrap();
        (screen, thread, written, is_gone)
    }

    #[test]
    fn a_blocked_screen_leaves_lines_out_and_says_so_once() {
        let (screen, thread, written, _) = start();
        let total = SCREEN_LINES_MAX * 2;
        for n in 0..total {
            screen.push(&format!("{n}\n"));
        }
        let reader = std::thread::spawn(move || written.iter().flatten().collect::<Vec<u8>>());
        assert_eq!(screen.finish(Duration::from_secs(10)), 0);
        thread.join().unwrap();
        let text = String::from_utf8(reader.join().unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let (note, shown) = lines.split_last().unwrap();
        assert!(shown.len() >= SCREEN_LINES_MAX, "{} shown", shown.len());
        assert!(shown.iter().enumerate().all(|(n, line)| line.parse() == Ok(n)));
        let left_out = total - shown.len();
        assert_eq!(*note, format!("/// {left_out} lines not shown here; they are in chat_1.log ///"));
    }

    #[test]
    fn a_closed_output_is_told_and_holds_nobody_up() {
        let (screen, thread, written, is_gone) = start();
        drop(written);
        screen.push("a\n");
        is_gone.recv().unwrap();
        for _ in 0..SCREEN_LINES_MAX * 2 {
            screen.push("b\n");
        }
        screen.finish(Duration::from_secs(10));
        thread.join().unwrap();
    }

    #[test]
    fn an_output_that_never_drains_does_not_hold_up_the_end() {
        let (screen, _thread, _written, _) = start();
        screen.push("a\nb\n");
        assert_eq!(screen.finish(Duration::from_millis(50)), 2);
    }

    #[test]
    fn a_reader_that_stops_has_whole_lines_and_the_others_are_counted() {
        let (mut reader, writer) = io::pipe().unwrap();
        let out = StdoutWriter::new(std::fs::File::from(std::os::fd::OwnedFd::from(writer)));
        let (screen, _thread) = Screen::start(out, "chat_1.log".to_owned(), |_| {}).unwrap();
        let total = 20_000;
        for n in 0..total {
            screen.push(&format!("{n}\n"));
        }
        // It reads something, and then no more.
        reader.read_exact(&mut [0; 8 * 1024]).unwrap();
        let unseen = screen.finish(Duration::from_millis(200));
        // All that the program has written until it ends.
        let mut rest = vec![0; rustix::io::ioctl_fionread(&reader).unwrap() as usize];
        reader.read_exact(&mut rest).unwrap();
        let rest = String::from_utf8(rest).unwrap();
        assert!(unseen > 0 && rest.ends_with(&format!("\n{}\n", total - unseen - 1)), "{unseen}");
    }
}
