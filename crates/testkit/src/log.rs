//! The log of one test: what `tracing` gets on the test's thread, and so from all its channels.
//!
//! The subscriber is the thread's own, so tests do not share it; while it captures, the thread's log goes nowhere else.

use parking_lot::Mutex;
use std::fmt::{self, Write};
use std::sync::{Arc, OnceLock};
use tracing::field::{Field, Visit};
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Captures the log from here on, until what it returns is dropped.
///
/// All levels, from this thread: a test's channels run on it, what they hand to `spawn_blocking` does not.
///
/// ```
/// use bennu_testkit::prelude::*;
///
/// let log = capture_log();
/// tracing::error!(attempts = 3, "no token");
/// assert!(log.contains("ERROR no token attempts=3"));
/// ```
pub fn capture_log() -> Log {
    keep_callsites_alive();
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let subscriber = tracing_subscriber::registry().with(Recorder(lines.clone()));
    Log { lines, _capturing: tracing::subscriber::set_default(subscriber) }
}

/// A log that is being captured; see [`capture_log`].
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    _capturing: DefaultGuard,
}

impl Log {
    /// The lines so far, each with its level, its message, and its fields as `name=value`.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }

    /// Whether a line contains this text.
    pub fn contains(&self, text: &str) -> bool {
        self.lines.lock().iter().any(|line| line.contains(text))
    }

    /// Sees that a line contains this text.
    ///
    /// # Panics
    /// When none does. The message has the whole log.
    #[track_caller]
    pub fn assert_contains(&self, text: &str) {
        assert!(self.contains(text), "no line of the log contains {text:?}:\n{self}");
    }
}

/// A line each.
impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.lines()[..] {
            [] => f.write_str("(nothing was logged)"),
            lines => f.write_str(&lines.join("\n")),
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Log").field(&self.lines()).finish()
    }
}

/// While a process has one subscriber, `tracing` asks only the thread that first comes to a place in the code whether
/// anybody wants to hear of it, and remembers the answer for all threads: a test next door, which captures nothing, would
/// silence this one. With others about, it asks all of them.
fn keep_callsites_alive() {
    static OTHERS: OnceLock<[Dispatch; 2]> = OnceLock::new();
    OTHERS.get_or_init(|| [Dispatch::new(NoSubscriber::new()), Dispatch::new(NoSubscriber::new())]);
}

struct Recorder(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line { message: String::new(), fields: String::new() };
        event.record(&mut line);
        self.0.lock().push(format!("{}{}{}", event.metadata().level(), line.message, line.fields));
    }
}

/// The message first, wherever its field stands.
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    /// As it is, without quotes and escapes: so it is easier to look for.
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail; a value that cannot be shown is left out.
        let _ = match field.name() {
            "message" => write!(self.message, " {value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_level_its_message_and_its_fields() {
        let log = capture_log();
        tracing::info!(user = 1, name = %"n", quoted = "\"q\"", "connected");
        tracing::trace!("in detail");
        assert_eq!(log.lines(), ["INFO connected user=1 name=n quoted=\"q\"", "TRACE in detail"]);
    }

    #[test]
    #[should_panic(expected = "no line of the log contains \"lost\":\nWARN found\nINFO kept")]
    fn a_text_that_was_not_logged_is_reported_with_what_was() {
        let log = capture_log();
        tracing::warn!("found");
        tracing::info!("kept");
        log.assert_contains("lost");
    }

    #[test]
    #[should_panic(expected = "(nothing was logged)")]
    fn an_empty_log_says_that_it_is_empty() {
        capture_log().assert_contains("something");
    }

    #[test]
    fn threads_that_capture_nothing_do_not_silence_one_that_does() {
        fn said() {
            tracing::info!("said by many");
        }
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    said();
                    let log = capture_log();
                    said();
                    assert_eq!(log.lines(), ["INFO said by many"]);
                });
            }
        });
    }
}
