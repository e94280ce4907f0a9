//! The tag limit in front of all exporters: it replaces further values of a tag that has reached its limit by `other`.
//!
//! An exporter keeps every combination of a name and its tags' values until the program ends. A tag with a user's id
//! would grow without limit, here and in the database of the series. Invariants: the memory of the limit itself is
//! bounded by the same limit; a combination that has been admitted stays admitted; each tag of an instrument causes one
//! warning.

use crate::measurement::TIMING;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};
use parking_lot::RwLock;
use std::collections::{HashMap, HashSet};

/// The most values of one tag of one instrument: 100. A tag that distinguishes lines of a chart has far fewer.
pub const MAX_TAG_VALUES: usize = 100;

/// The value that replaces further values of a tag.
const OTHER: &str = "other";

pub(crate) struct TagLimit<R> {
    exporters: R,
    limit: usize,
    seen: RwLock<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Keys that were admitted unchanged: the fast path.
    keys: HashSet<Key>,
    /// The values of each tag, by instrument and tag.
    values: HashMap<(String, String), Values>,
}

#[derive(Default)]
struct Values {
    known: HashSet<String>,
    warned: bool,
}

impl<R: Recorder> TagLimit<R> {
    pub(crate) fn new(exporters: R, limit: usize) -> Self {
        TagLimit { exporters, limit, seen: RwLock::default() }
    }

    /// Registers the key, with `other` for values past the limit. Calls `first` when the key is admitted for the first
    /// time.
    fn register<I>(&self, key: &Key, first: impl FnOnce(&R), register: impl FnOnce(&R, &Key) -> I) -> I {
        if self.seen.read().keys.contains(key) {
            return register(&self.exporters, key);
        }
        let mut seen = self.seen.write();
        let admitted: Vec<Admitted> = key.labels().map(|label| seen.admit(key.name(), label, self.limit)).collect();
        let is_admitted = admitted.iter().all(|label| *label == Admitted::Unchanged);
        let is_first = is_admitted && seen.keys.insert(key.clone());
        // A log subscriber may measure, which would lock here again.
        drop(seen);
        if is_first {
            first(&self.exporters);
        }
        if is_admitted {
            return register(&self.exporters, key);
        }
        let labels = key.labels().zip(admitted).map(|(label, admitted)| {
            if admitted == (Admitted::AsOther { is_first: true }) {
                let (instrument, tag, value, limit) = (key.name(), label.key(), label.value(), self.limit);
                tracing::warn!(
                    instrument,
                    tag,
                    value,
                    limit,
                    "a tag exceeded its limit of values: this value and further ones are counted as {OTHER}"
                );
            }
            match admitted {
                Admitted::Unchanged => label.clone(),
                Admitted::AsOther { .. } => Label::new(label.key().to_owned(), OTHER),
            }
        });
        register(&self.exporters, &Key::from_parts(key.name().to_owned(), labels.collect::<Vec<_>>()))
    }
}

/// How a tag's value is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admitted {
    Unchanged,
    AsOther { is_first: bool },
}

impl Seen {
    fn admit(&mut self, name: &str, label: &Label, limit: usize) -> Admitted {
        let values = self.values.entry((name.to_owned(), label.key().to_owned())).or_default();
        if values.known.contains(label.value()) {
            return Admitted::Unchanged;
        }
        if values.known.len() < limit {
            values.known.insert(label.value().to_owned());
            return Admitted::Unchanged;
        }
        Admitted::AsOther { is_first: !std::mem::replace(&mut values.warned, true) }
    }
}

impl<R: Recorder> Recorder for TagLimit<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporters.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporters.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporters.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.register(key, |_| {}, |exporters, key| exporters.register_counter(key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.register(key, |_| {}, |exporters, key| exporters.register_gauge(key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        // The first use of a timing describes it, so that Prometheus's name for it has the unit.
        let describe = |exporters: &R| {
            if metadata.target() == TIMING {
                let name = key.name().to_owned();
                exporters.describe_histogram(
                    name.clone().into(),
                    Some(Unit::Seconds),
                    format!("Time of {name}.").into(),
                );
            }
        };
        self.register(key, describe, |exporters, key| exporters.register_histogram(key, metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bennu_testkit::capture_log;
    use metrics::Level;
    use metrics_util::registry::{AtomicStorage, Registry};
    use std::sync::atomic::Ordering;

    static METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);

    struct Kept(Registry<Key, AtomicStorage>);

    impl Recorder for Kept {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.0.get_or_create_counter(key, |counter| counter.clone().into())
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    fn count(limited: &TagLimit<Kept>, name: &'static str, tags: &[(&'static str, String)]) {
        let labels: Vec<Label> = tags.iter().map(|(tag, value)| Label::new(*tag, value.clone())).collect();
        limited.register_counter(&Key::from_parts(name, labels), &METADATA).increment(1);
    }

    fn counted(limited: &TagLimit<Kept>) -> Vec<(String, u64)> {
        let shown = |key: &Key| {
            let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            format!("{} {}", key.name(), labels.join(","))
        };
        let counters = limited.exporters.0.get_counter_handles();
        let mut counted: Vec<_> =
            counters.iter().map(|(key, count)| (shown(key), count.load(Ordering::Relaxed))).collect();
        counted.sort();
        counted
    }

    #[test]
    fn past_its_limit_a_tags_values_are_counted_as_other_with_one_warning() {
        let log = capture_log();
        let limited = TagLimit::new(Kept(Registry::new(AtomicStorage)), 2);
        for user in ["a", "b", "c", "d", "a", "c"] {
            count(&limited, "visits", &[("user", user.to_owned()), ("kind", "page".to_owned())]);
        }
        count(&limited, "other.visits", &[("user", "c".to_owned())]);
        let expected = [
            ("other.visits user=c", 1),
            ("visits user=a,kind=page", 2),
            ("visits user=b,kind=page", 1),
            ("visits user=other,kind=page", 3),
        ];
        assert_eq!(counted(&limited), expected.map(|(name, count)| (name.to_owned(), count)));
        assert_eq!(log.to_string().matches("a tag exceeded its limit of values").count(), 1, "{log}");
    }

    #[test]
    fn the_memory_of_the_limit_is_bounded_too() {
        let limited = TagLimit::new(Kept(Registry::new(AtomicStorage)), 10);
        for n in 0..1000 {
            count(&limited, "n", &[("n", n.to_string())]);
        }
        let seen = limited.seen.read();
        assert_eq!((seen.keys.len(), seen.values.len()), (10, 1));
        assert!(seen.values.values().all(|values| values.known.len() == 10));
    }
}
