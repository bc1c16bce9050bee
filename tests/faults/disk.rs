//! A small disk of its own for one node's files, to be filled and freed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs; unmounted with its handle, after everybody who writes there has ended.
pub struct Disk {
    at: PathBuf,
}

impl Disk {
    /// The name of what fills it.
    pub const FILLER: &'static str = "filler";

    /// Mounts one of this many MiB. Fails with the reason where that is not permitted.
    pub fn mount(at: &Path, mebibytes: u32) -> Result<Self, String> {
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let out = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=0700"), "tmpfs"])
            .arg(at)
            .output()
            .map_err(|error| format!("mount: {error}"))?;
        match out.status.success() {
            true => Ok(Self { at: at.to_owned() }),
            false => Err(String::from_utf8_lossy(&out.stderr).trim().to_owned()),
        }
    }

    fn filler(&self) -> PathBuf {
        self.at.join(Self::FILLER)
    }

    /// Takes all the space that is left.
    pub fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.filler()).unwrap();
        // A write into the last page fails as a whole, so they become smaller.
        for bytes in [64 * 1024, 4096, 1] {
            let block = vec![0; bytes];
            while filler.write_all(&block).is_ok() {}
        }
    }

    pub fn is_full(&self) -> bool {
        self.filler().exists()
    }

    /// Gives it back.
    pub fn free(&self) {
        let _ = std::fs::remove_file(self.filler());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.free();
        if std::thread::panicking() {
            // What it holds is wanted by whoever looks into the failure.
            let _ = Command::new("cp").arg("-a").arg(&self.at).arg(self.at.with_extension("kept")).status();
        }
        let mut umount = Command::new("umount");
        if !umount.arg(&self.at).status().is_ok_and(|status| status.success()) {
            let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        }
    }
}
