//! The log of one test: the `tracing` events of the test's thread, on which all its channels run.
//!
//! The subscriber belongs to the thread, so tests do not share it. During a capture no other subscriber receives the
//! thread's events.

use parking_lot::Mutex;
use std::fmt::{self, Write};
use std::sync::{Arc, OnceLock};
use tracing::field::{Field, Visit};
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Captures the log until the returned [`Log`] is dropped.
///
/// Captures all levels of the current thread. A test's channels run on this thread, their `spawn_blocking` tasks do
/// not.
///
/// ```
/// use bennu_testkit::prelude::*;
///
/// let log = capture_log();
/// tracing::error!(attempts = 3, "no token");
/// assert!(log.contains("ERROR no token attempts=3"));
/// ```
pub fn capture_log() -> Log {
    keep_callsites_enabled();
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let subscriber = tracing_subscriber::registry().with(Recorder(lines.clone()));
    Log { lines, _subscriber: tracing::subscriber::set_default(subscriber) }
}

/// A captured log; see [`capture_log`].
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    _subscriber: DefaultGuard,
}

impl Log {
    /// Returns the lines, each with its level, its message, and its fields as `name=value`.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }

    /// Returns whether a line contains this text.
    pub fn contains(&self, text: &str) -> bool {
        self.lines.lock().iter().any(|line| line.contains(text))
    }

    /// Asserts that a line contains this text.
    ///
    /// # Panics
    /// When no line contains it. The panic's text contains the whole log.
    #[track_caller]
    pub fn assert_contains(&self, text: &str) {
        assert!(self.contains(text), "no line of the log contains {text:?}:\n{self}");
    }
}

/// The lines, separated by line feeds.
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

/// Prevents another thread from disabling a callsite for this one.
///
/// While a process has one dispatcher, `tracing` registers a callsite with the dispatcher of the first thread that
/// reaches it, and caches that interest for all threads. A parallel test without a capture would disable the callsite
/// for a test with one. With several dispatchers, `tracing` combines the interest of all of them.
fn keep_callsites_enabled() {
    static DISPATCHERS: OnceLock<[Dispatch; 2]> = OnceLock::new();
    DISPATCHERS.get_or_init(|| [Dispatch::new(NoSubscriber::new()), Dispatch::new(NoSubscriber::new())]);
}

struct Recorder(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line { message: String::new(), fields: String::new() };
        event.record(&mut line);
        self.0.lock().push(format!("{}{}{}", event.metadata().level(), line.message, line.fields));
    }
}

/// One line: the message, then the other fields.
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    /// Writes the text without quotes and escapes, which makes it easier to search for.
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A write to a string does not fail. A value whose `Debug` fails is omitted.
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
    fn a_missing_text_is_reported_with_the_whole_log() {
        let log = capture_log();
        tracing::warn!("found");
        tracing::info!("kept");
        log.assert_contains("lost");
    }

    #[test]
    #[should_panic(expected = "(nothing was logged)")]
    fn an_empty_log_is_reported_as_empty() {
        capture_log().assert_contains("something");
    }

    #[test]
    fn threads_without_a_capture_do_not_disable_the_callsites_of_one_with_a_capture() {
        fn log_event() {
            tracing::info!("from many threads");
        }
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    log_event();
                    let log = capture_log();
                    log_event();
                    assert_eq!(log.lines(), ["INFO from many threads"]);
                });
            }
        });
    }
}
