//! What a failing assertion says: what was expected, everything that did arrive, and how the nearest of it differs.

use crate::arrival::Arrival;
use crate::expectation::{Description, Matcher, Mismatch, Wanted};
use crate::mailbox::View;
use bennu_channels::Payload;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use std::fmt::Write;
use std::time::Duration;

/// Nothing like it arrived.
pub(crate) fn missing<R>(view: &View, wanted: &Wanted, matcher: &mut Matcher<'_, R>, patience: Duration) -> String {
    let arrivals = view.arrivals();
    let mut text = format!("no such {} arrived within {patience:?}\n\n", wanted.kind());
    let _ = writeln!(text, "expected: {wanted} {}", matcher.description);
    if let Wanted::Broadcast(_) = wanted {
        text.push_str(&subscriptions(&view.topics()));
    }
    list(&mut text, "arrived", &arrivals);
    if let Some(nearest) = nearest(&arrivals, wanted, matcher) {
        let _ = write!(text, "\n{nearest}");
    }
    text
}

/// Something like it arrived.
pub(crate) fn unwanted<R>(view: &View, wanted: &Wanted, matcher: &Matcher<'_, R>, arrival: &Arrival) -> String {
    let mut text = format!("a {} arrived that should not\n\n", wanted.kind());
    let _ = writeln!(text, "refuted: {wanted} {}", matcher.description);
    let _ = writeln!(text, "arrived: {}", line(arrival));
    list(&mut text, "besides it arrived", &view.arrivals());
    text
}

fn subscriptions(topics: &[String]) -> String {
    match topics {
        [] => "the test has subscribed to no topic: join with subscribe_and_join, or call subscribe\n".to_owned(),
        topics => format!("the test has subscribed to {}\n", topics.join(", ")),
    }
}

fn list(text: &mut String, what: &str, arrivals: &[Arrival]) {
    if arrivals.is_empty() {
        let _ = writeln!(text, "\n{what}: nothing");
        return;
    }
    let _ = writeln!(text, "\n{what}, in order:");
    for (number, arrival) in arrivals.iter().enumerate() {
        let _ = writeln!(text, "  {}. {}", number + 1, line(arrival));
    }
}

/// Longer lines help nobody; the diff shows the nearest arrival whole.
fn line(arrival: &Arrival) -> String {
    const LONGEST: usize = 500;
    let whole = arrival.to_string();
    match whole.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} bytes)", &whole[..end], whole.len()),
        None => whole,
    }
}

/// Of the arrivals of that kind: one that is what was asked for but for its payload, as like it as possible, or one
/// that has the payload and is called otherwise.
fn nearest<R>(arrivals: &[Arrival], wanted: &Wanted, matcher: &mut Matcher<'_, R>) -> Option<String> {
    let numbered = || (1..).zip(arrivals);
    let meant = numbered().filter_map(|(number, arrival)| Some((number, wanted.payload(arrival)?)));
    let like = meant.map(|(number, payload)| {
        let (distance, how) = difference(payload, matcher);
        (distance, number, format!("the nearest is {number}, {how}"))
    });
    if let Some((_, _, text)) = like.min_by_key(|(distance, number, _)| (*distance, *number)) {
        return Some(text);
    }
    let (number, arrival) = numbered()
        .find(|(_, arrival)| wanted.candidate(arrival).is_some_and(|payload| matcher.test(payload).is_ok()))?;
    let other = match (wanted, arrival) {
        (Wanted::Reply(..), Arrival::Reply { status, .. }) => format!("status is {}", status.as_str()),
        _ => format!("event is {:?}", arrival.event().unwrap_or_default()),
    };
    Some(format!("the nearest is {number}, whose {other}\n"))
}

/// How far a payload is from what is expected, and in which way.
fn difference<R>(payload: &Payload, matcher: &mut Matcher<'_, R>) -> (usize, String) {
    match (matcher.test(payload), &matcher.description) {
        (Err(Mismatch::Value), Description::Value(expected)) => {
            let (changes, shown) = diff(&pretty(expected), &pretty(payload));
            (changes, format!("which differs (- expected, + arrived):\n{shown}"))
        }
        (Err(Mismatch::Shape(error)), _) => (usize::MAX, format!("whose {error}:\n{}", indented(&pretty(payload)))),
        _ => (0, format!("which does not match:\n{}", indented(&pretty(payload)))),
    }
}

/// A diff by lines with three lines around each change, and how many lines it changes.
fn diff(expected: &str, arrived: &str) -> (usize, String) {
    let diff = TextDiff::from_lines(expected, arrived);
    let (mut changes, mut shown) = (0, String::new());
    for (n, group) in diff.grouped_ops(3).iter().enumerate() {
        if n > 0 {
            shown.push_str("    ⋮\n");
        }
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            changes += usize::from(change.tag() != ChangeTag::Equal);
            let _ = writeln!(shown, "  {} {}", change.tag(), change.value().trim_end_matches('\n'));
        }
    }
    (changes, shown)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// JSON with one field a line, sorted by name; binary data by its first bytes.
fn pretty(payload: &Payload) -> String {
    if let Some(data) = payload.as_binary() {
        return format!("{} bytes: {:02x?}\n", data.len(), &data[..data.len().min(64)]);
    }
    match payload.parse::<Value>() {
        Ok(json) => format!("{:#}\n", sorted(json)),
        Err(_) => format!("{payload:?}\n"),
    }
}

fn sorted(json: Value) -> Value {
    match json {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            fields.into_iter().map(|(name, value)| (name, sorted(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
