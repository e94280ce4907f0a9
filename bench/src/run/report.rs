//! What the conductor prints: the machine it ran on, and a table per scenario.

use std::fs;
use std::thread;

use super::Figures;
use super::figure::{Figure, INSTRUMENTED, Scenario, Target};
use super::server::ServerCommand;
use super::statistic::Summary;

/// Says where the figures come from; they mean nothing without.
pub(super) fn machine() {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.unwrap_or("").trim_start_matches([' ', '\t', ':']);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let busy = read("/proc/loadavg");
    let busy = busy.split(' ').next().unwrap_or_default();
    println!("{cores} cores {model}, Linux {}, load average {busy}", kernel.trim());
}

/// One scenario's table: the raw loop's figures, then those of each other server beside its own.
///
/// `measured` runs parallel to `servers`, whose first is the raw loop.
pub(super) fn table(scenario: Scenario, clients: usize, servers: &[ServerCommand], measured: &[Figures]) {
    println!("\n{}: {clients} {}", scenario.name(), scenario.describes());
    println!("median (least to greatest) of the rounds; ratio: of each round's pair");
    println!("  {:<33}{:<11}{:<32}{:<26}target", "figure", "server", "value", "ratio to the raw loop");
    for figure in scenario.figures() {
        let raw = values(&measured[0], figure);
        for (server, figures) in servers.iter().zip(measured) {
            let values = values(figures, figure);
            let Some(value) = Summary::of(values) else {
                println!("  {:<33}{:<11}failed", figure.label, server.name);
                continue;
            };
            let ratio = Summary::of_ratios(values, raw).expect("as many rounds as the raw loop");
            let is_yardstick = std::ptr::eq(figures, &measured[0]);
            let ratio_text = match scenario {
                _ if is_yardstick => String::new(),
                // The raw loop keeps next to nothing, and the clients are the same beside every server.
                Scenario::Memory | Scenario::Clients => String::new(),
                _ => words(ratio, |ratio| format!("{ratio:.2}")),
            };
            let target = match server {
                ServerCommand { tested: true, .. } => verdict(figure.target, value, ratio),
                ServerCommand { instrumented: true, .. } => beside_itself(figure, values, &measured[1]),
                _ => String::new(),
            };
            let (label, name, value) = (figure.label, &server.name, words(value, number));
            let line = format!("  {label:<33}{name:<11}{value:<32}{ratio_text:<26}{target}");
            println!("{}", line.trim_end());
        }
    }
}

fn values<'a>(figures: &'a Figures, figure: &Figure) -> &'a [f64] {
    figures.get(figure.name).map_or(&[], Vec::as_slice)
}

fn words(summary: Summary, number: impl Fn(f64) -> String) -> String {
    let Summary { median, least, greatest } = summary;
    format!("{} ({} to {})", number(median), number(least), number(greatest))
}

fn verdict(target: Target, value: Summary, ratio: Summary) -> String {
    let wanted = match target {
        Target::Ratio(least) => format!("ratio >= {least}"),
        Target::AtMost(most) => format!("<= {}", number(most)),
        Target::None => return String::new(),
    };
    match target.met(value.median, ratio.median) {
        Some(true) => format!("{wanted}: met"),
        _ => format!("{wanted}: not met"),
    }
}

/// What the instruments cost: the figures with them on beside those of the same server without, round by round.
fn beside_itself(figure: &Figure, values: &[f64], without: &Figures) -> String {
    let is_cpu = matches!(figure.target, Target::Ratio(_));
    match Summary::of_ratios(values, self::values(without, figure)) {
        Some(ratio) if is_cpu => {
            let met = if ratio.median >= INSTRUMENTED { "met" } else { "not met" };
            format!("of bennu {}, >= {INSTRUMENTED}: {met}", words(ratio, |ratio| format!("{ratio:.3}")))
        }
        _ => String::new(),
    }
}

/// One decimal below a hundred, none above, and the thousands apart: `190,412`, `42.7`.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart() {
        for (value, text) in [
            (0.0, "0.0"),
            (42.66, "42.7"),
            (-3.0, "-3.0"),
            (100.4, "100"),
            (3000.0, "3,000"),
            (-1234567.0, "-1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_verdict_names_the_target() {
        let summary = |median| Summary { median, least: median, greatest: median };
        let words = verdict(Target::Ratio(0.85), summary(1.0), summary(0.9));
        assert_eq!(words, "ratio >= 0.85: met");
        let words = verdict(Target::AtMost(3000.0), summary(3001.0), summary(0.9));
        assert_eq!(words, "<= 3,000: not met");
        assert_eq!(verdict(Target::None, summary(1.0), summary(1.0)), "");
    }
}
