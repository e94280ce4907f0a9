//! The coordinator's output: a line about the machine, and a table per scenario.

use std::fs;
use std::thread;

use super::Figures;
use super::figure::{Figure, INSTRUMENTS_TARGET, Scenario, Target};
use super::server::ServerCommand;
use super::statistic::Summary;

/// Prints cores, processor, kernel and load, without which the figures have no meaning.
pub(super) fn machine() {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.unwrap_or("").trim_start_matches([' ', '\t', ':']);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    println!("{cores} cores {model}, Linux {}, load average {load}", kernel.trim());
}

/// Prints one scenario's table: for each figure a row per server, the raw loop first.
///
/// `measured` has one entry for each of `servers`, of which the first is the raw loop.
pub(super) fn table(scenario: Scenario, clients: usize, servers: &[ServerCommand], measured: &[Figures]) {
    println!("\n{}: {clients} {}", scenario.name(), scenario.description());
    println!("median (minimum to maximum) of the rounds; ratio: of each round's pair");
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
            let is_baseline = std::ptr::eq(figures, &measured[0]);
            let ratio_text = match scenario {
                _ if is_baseline => String::new(),
                // The raw loop has almost no memory per client, and the Rust clients are the same with every server.
                Scenario::Memory | Scenario::Clients => String::new(),
                _ => format_summary(ratio, |ratio| format!("{ratio:.2}")),
            };
            let target = match server {
                ServerCommand { tested: true, .. } => verdict(figure.target, value, ratio),
                ServerCommand { instrumented: true, .. } => instruments_verdict(figure, values, &measured[1]),
                _ => String::new(),
            };
            let (label, name, value) = (figure.label, &server.name, format_summary(value, format_number));
            let line = format!("  {label:<33}{name:<11}{value:<32}{ratio_text:<26}{target}");
            println!("{}", line.trim_end());
        }
    }
}

fn values<'a>(figures: &'a Figures, figure: &Figure) -> &'a [f64] {
    figures.get(figure.name).map_or(&[], Vec::as_slice)
}

fn format_summary(summary: Summary, format: impl Fn(f64) -> String) -> String {
    let Summary { median, min, max } = summary;
    format!("{} ({} to {})", format(median), format(min), format(max))
}

fn verdict(target: Target, value: Summary, ratio: Summary) -> String {
    let wanted = match target {
        Target::Ratio(min) => format!("ratio >= {min}"),
        Target::AtMost(max) => format!("<= {}", format_number(max)),
        Target::None => return String::new(),
    };
    match target.met(value.median, ratio.median) {
        Some(true) => format!("{wanted}: met"),
        _ => format!("{wanted}: not met"),
    }
}

/// Returns the ratio of the figures with instruments to those of the same server without, round by round.
fn instruments_verdict(figure: &Figure, values: &[f64], without: &Figures) -> String {
    let is_cpu = matches!(figure.target, Target::Ratio(_));
    match Summary::of_ratios(values, self::values(without, figure)) {
        Some(ratio) if is_cpu => {
            let met = if ratio.median >= INSTRUMENTS_TARGET { "met" } else { "not met" };
            format!("of bennu {}, >= {INSTRUMENTS_TARGET}: {met}", format_summary(ratio, |ratio| format!("{ratio:.3}")))
        }
        _ => String::new(),
    }
}

/// Formats with one decimal below a hundred, none above, and separated thousands: `190,412`, `42.7`.
fn format_number(value: f64) -> String {
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
    fn the_thousands_of_numbers_are_separated() {
        for (value, text) in [
            (0.0, "0.0"),
            (42.66, "42.7"),
            (-3.0, "-3.0"),
            (100.4, "100"),
            (3000.0, "3,000"),
            (-1234567.0, "-1,234,567"),
        ] {
            assert_eq!(format_number(value), text);
        }
    }

    #[test]
    fn a_verdict_names_the_target() {
        let summary = |median| Summary { median, min: median, max: median };
        let text = verdict(Target::Ratio(0.85), summary(1.0), summary(0.9));
        assert_eq!(text, "ratio >= 0.85: met");
        let text = verdict(Target::AtMost(3000.0), summary(3001.0), summary(0.9));
        assert_eq!(text, "<= 3,000: not met");
        assert_eq!(verdict(Target::None, summary(1.0), summary(1.0)), "");
    }
}
