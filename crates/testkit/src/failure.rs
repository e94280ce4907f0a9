//! The text of a failed assertion: the expectation, all arrivals, and the difference of the closest one.

use crate::arrival::Arrival;
use crate::expectation::{Description, Matcher, Mismatch, Selector};
use crate::mailbox::MailboxView;
use bennu_channels::Payload;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use std::fmt::Write;
use std::time::Duration;

/// Describes the failure of an assertion without a matching arrival.
pub(crate) fn missing<R>(
    view: &MailboxView,
    selector: &Selector,
    matcher: &mut Matcher<'_, R>,
    timeout: Duration,
) -> String {
    let arrivals = view.arrivals();
    let mut text = format!("no matching {} arrived within {timeout:?}\n\n", selector.kind());
    let _ = writeln!(text, "expected: {selector} {}", matcher.description);
    if let Selector::Broadcast(_) = selector {
        text.push_str(&subscriptions(&view.topics()));
    }
    list(&mut text, "arrivals", &arrivals);
    if let Some(closest) = closest(&arrivals, selector, matcher) {
        let _ = write!(text, "\n{closest}");
    }
    text
}

/// Describes the failure of a refutation with a matching arrival.
pub(crate) fn unexpected<R>(
    view: &MailboxView,
    selector: &Selector,
    matcher: &Matcher<'_, R>,
    arrival: &Arrival,
) -> String {
    let mut text = format!("an unexpected {} arrived\n\n", selector.kind());
    let _ = writeln!(text, "refuted: {selector} {}", matcher.description);
    let _ = writeln!(text, "arrived: {}", line(arrival));
    list(&mut text, "other arrivals", &view.arrivals());
    text
}

fn subscriptions(topics: &[String]) -> String {
    match topics {
        [] => "the test has subscribed to no topic: join with subscribe_and_join, or call subscribe\n".to_owned(),
        topics => format!("the test has subscribed to {}\n", topics.join(", ")),
    }
}

fn list(text: &mut String, heading: &str, arrivals: &[Arrival]) {
    if arrivals.is_empty() {
        let _ = writeln!(text, "\n{heading}: none");
        return;
    }
    let _ = writeln!(text, "\n{heading}, in order:");
    for (number, arrival) in arrivals.iter().enumerate() {
        let _ = writeln!(text, "  {}. {}", number + 1, line(arrival));
    }
}

/// Formats an arrival as one line, cut after 500 characters. The diff contains the closest arrival in full.
fn line(arrival: &Arrival) -> String {
    const MAX_CHARS: usize = 500;
    let whole = arrival.to_string();
    match whole.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", &whole[..end], whole.len()),
        None => whole,
    }
}

/// Describes the closest arrival: the selected one with the smallest difference in its payload, or else one with the
/// expected payload and another event or status.
fn closest<R>(arrivals: &[Arrival], selector: &Selector, matcher: &mut Matcher<'_, R>) -> Option<String> {
    let numbered = || (1..).zip(arrivals);
    let selected = numbered().filter_map(|(number, arrival)| Some((number, selector.payload(arrival)?)));
    let differing = selected.map(|(number, payload)| {
        let (distance, how) = difference(payload, matcher);
        (distance, number, format!("the closest arrival is {number}; it {how}"))
    });
    if let Some((_, _, text)) = differing.min_by_key(|(distance, number, _)| (*distance, *number)) {
        return Some(text);
    }
    let (number, arrival) = numbered()
        .find(|(_, arrival)| selector.candidate(arrival).is_some_and(|payload| matcher.test(payload).is_ok()))?;
    let other = match (selector, arrival) {
        (Selector::Reply(..), Arrival::Reply { status, .. }) => format!("status is {}", status.as_str()),
        _ => format!("event is {:?}", arrival.event().unwrap_or_default()),
    };
    Some(format!("the closest arrival is {number}; its {other}\n"))
}

/// Returns the number of lines by which a payload differs from the expected one, and a description of the difference.
fn difference<R>(payload: &Payload, matcher: &mut Matcher<'_, R>) -> (usize, String) {
    match (matcher.test(payload), &matcher.description) {
        (Err(Mismatch::Value), Description::Value(expected)) => {
            let (changes, shown) = diff(&pretty(expected), &pretty(payload));
            (changes, format!("differs (- expected, + arrived):\n{shown}"))
        }
        (Err(Mismatch::Shape(error)), _) => {
            (usize::MAX, format!("does not match: {error}:\n{}", indented(&pretty(payload))))
        }
        _ => (0, format!("does not match:\n{}", indented(&pretty(payload)))),
    }
}

/// Returns the number of changed lines, and a diff by lines with three lines around each change.
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

/// Formats JSON with one field a line, sorted by name, and binary data by its first 64 bytes.
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
