//! The table of instruments agrees with the crates' sources and with docs/telemetry.md.

use bennu_telemetry::{INSTRUMENTS, Instrument};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate lies among others").to_owned()
}

/// One lookup of an instrument in the sources.
#[derive(Debug)]
struct Lookup {
    place: String,
    kind: String,
    /// Each tag with its value, where the value is a literal.
    tags: Vec<(String, Option<String>)>,
}

#[test]
fn the_table_has_every_instrument_of_the_sources_with_its_kind_and_tags_and_no_other() {
    let lookups = lookups();
    let mut wrong = Vec::new();
    for (name, lookups) in &lookups {
        let Some(instrument) = INSTRUMENTS.iter().find(|instrument| instrument.name == name) else {
            wrong.push(format!("{name} ({}) is not in INSTRUMENTS", lookups[0].place));
            continue;
        };
        for Lookup { place, kind, tags } in lookups {
            if kind != instrument.kind.name() {
                wrong.push(format!("{name} is a {kind} in {place}, and a {} in INSTRUMENTS", instrument.kind.name()));
            }
            let mut found: Vec<_> = tags.iter().map(|(tag, _)| &**tag).collect();
            let mut listed: Vec<_> = instrument.tags.iter().map(|tag| tag.name).collect();
            found.sort_unstable();
            listed.sort_unstable();
            if found != listed {
                wrong.push(format!("{name} has the tags {found:?} in {place}, and {listed:?} in INSTRUMENTS"));
            }
            for (tag, value) in tags {
                let listed = instrument.tags.iter().find(|listed| listed.name == tag);
                if let (Some(value), Some(listed)) = (value, listed)
                    && !listed.values.contains(&&**value)
                {
                    wrong.push(format!("{name} has {tag}={value} in {place}, which INSTRUMENTS does not list"));
                }
            }
        }
    }
    let unused = INSTRUMENTS.iter().filter(|instrument| !lookups.contains_key(instrument.name));
    wrong.extend(unused.map(|instrument| format!("{} is in INSTRUMENTS and in no source", instrument.name)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lookups.len() > 20, "the sources were not found: {lookups:?}");
}

#[test]
fn the_page_shows_the_table() {
    let page = crates().parent().expect("crates lie in the repository").join("docs/telemetry.md");
    let page = fs::read_to_string(page).unwrap();
    let table = table();
    assert!(page.contains(&table), "docs/telemetry.md must contain exactly this:\n\n{table}");
    let rows = page.lines().filter(|line| line.starts_with("| `bennu.")).count();
    assert_eq!(rows, INSTRUMENTS.len(), "the page has other rows besides");
}

fn table() -> String {
    let mut table = String::from("| Instrument | Kind | Counts | Tags |\n|---|---|---|---|\n");
    for Instrument { name, kind, description, tags, .. } in INSTRUMENTS {
        let tags: Vec<String> = tags
            .iter()
            .map(|tag| match tag.values {
                [] => format!("`{}`", tag.name),
                values => format!("`{}` = {}", tag.name, values.join(", ")),
            })
            .collect();
        let row = format!("| `{name}` | {} | {description} | {} |\n", kind.name(), tags.join("; "));
        table.push_str(&row.replace("|  |", "| |"));
    }
    table
}

/// Returns every `counter!("bennu.…", …)`, `gauge!` and `histogram!` under crates/*/src, by name.
fn lookups() -> BTreeMap<String, Vec<Lookup>> {
    let mut lookups = BTreeMap::<String, Vec<Lookup>>::new();
    for path in sources() {
        let source = fs::read_to_string(&path).unwrap();
        // Tests are at the end of a file and may use any instrument.
        let code = source.lines().take_while(|line| *line != "#[cfg(test)]");
        let source: String = code.filter(|line| !line.trim_start().starts_with("//")).collect();
        for kind in ["counter", "gauge", "histogram"] {
            for (at, opening) in source.match_indices(&format!("{kind}!(")) {
                let before = source[..at].chars().next_back();
                let arguments = source[at + opening.len()..].trim_start();
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_') || !arguments.starts_with("\"bennu.") {
                    continue;
                }
                let arguments = &arguments[..arguments.find(')').expect("a macro's arguments end")];
                let mut parts = arguments.split(',').map(str::trim).filter(|part| !part.is_empty());
                let name = parts.next().expect("a name comes first").trim_matches('"').to_owned();
                let tags = parts.filter_map(|part| part.split_once("=>")).map(|(tag, value)| {
                    let literal = value.trim().strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                    (tag.trim().trim_matches('"').to_owned(), literal.map(str::to_owned))
                });
                let place = path.strip_prefix(crates()).unwrap_or(&path).display().to_string();
                let lookup = Lookup { place, kind: kind.to_owned(), tags: tags.collect() };
                lookups.entry(name).or_default().push(lookup);
            }
        }
    }
    lookups
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories: Vec<PathBuf> =
        fs::read_dir(crates()).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.file_stem().is_some_and(|name| name == "tests") {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
