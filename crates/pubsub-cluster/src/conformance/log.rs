//! The log of one test's thread.

use parking_lot::Mutex;
use std::io::{self, Write};
use std::sync::Arc;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;

/// Captures the lines of this thread from the level debug on, until it is dropped.
pub struct CapturedLog {
    lines: Lines,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl CapturedLog {
    /// Starts to capture.
    pub fn capture() -> CapturedLog {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        CapturedLog { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Returns the lines that contain all of these parts.
    pub fn lines(&self, parts: &[&str]) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.lines.0.lock()).into_owned();
        let wanted = text.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
        wanted.map(ToOwned::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
