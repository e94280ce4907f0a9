//! The guide "Presence in an afternoon": each of its listings is a part of the file that it names, and each of its commands
//! is one that the program has.

use clap::Parser;
use std::fs;
use std::path::Path;
use training_center::command::CommandLine;

/// A listing of the guide, with the file that the line before it names.
struct Listing {
    file: Option<String>,
    language: String,
    lines: Vec<String>,
}

fn listings() -> Vec<Listing> {
    let guide = fs::read_to_string(crate_path("../../docs/guide/training-center.md")).unwrap();
    let mut file = None;
    let mut listings = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let listed = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
            listings.push(Listing { file: file.take(), language: language.to_owned(), lines: listed });
        } else if let Some(name) = line.strip_prefix('`').and_then(|line| line.strip_suffix('`')) {
            file = Some(name.to_owned());
        } else if !line.is_empty() {
            file = None;
        }
    }
    listings
}

fn crate_path(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns whether `lines` stand in `source` one after the other, with one more indentation each.
fn has(source: &str, lines: &[String]) -> bool {
    let source: Vec<&str> = source.lines().collect();
    source.windows(lines.len()).any(|part| {
        let indentation = part[0].len() - part[0].trim_start().len();
        part.iter().zip(lines).all(|(line, listed)| match listed.is_empty() {
            true => line.trim().is_empty(),
            false => {
                line.get(indentation..).is_some_and(|rest| rest == listed) && line[..indentation].trim().is_empty()
            }
        })
    })
}

#[test]
fn every_listing_is_a_part_of_the_file_that_it_names() {
    let code: Vec<Listing> = listings().into_iter().filter(|listing| listing.language != "sh").collect();
    assert!(code.len() >= 12, "the guide has lost its listings");
    for Listing { file, lines, .. } in code {
        let file = file.unwrap_or_else(|| panic!("no line with a file is before {:?}", lines[0]));
        let source = fs::read_to_string(crate_path(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(has(&source, &lines), "{file} has no such part:\n{}", lines.join("\n"));
    }
}

#[test]
fn every_command_is_one_that_the_program_has() {
    let commands = listings().into_iter().filter(|listing| listing.language == "sh").flat_map(|listing| listing.lines);
    let mut count = 0;
    for command in commands {
        let (variables, arguments) = command.split_once("bin/run training_center").expect(&command);
        let known = ["HOST", "NODE", "CLUSTER", "PORT"];
        for variable in variables.split_whitespace() {
            assert!(known.contains(&variable.split_once('=').unwrap().0), "{variable}");
        }
        // The only quoted argument is the name of a task.
        let arguments = arguments.trim().split_once(" '").map_or_else(
            || arguments.split_whitespace().map(str::to_owned).collect(),
            |(command, task)| vec![command.to_owned(), task.trim_end_matches('\'').to_owned()],
        );
        let line = ["training_center".to_owned()].into_iter().chain(arguments);
        CommandLine::try_parse_from(line).unwrap_or_else(|error| panic!("{command}: {error}"));
        count += 1;
    }
    assert!(count >= 4, "the guide has lost its commands");
}

#[test]
fn a_listing_that_differs_in_one_character_is_found() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let source = "fn a() {\n    let x = 1;\n\n    let y = 2;\n}\n";
    assert!(has(source, &lines("let x = 1;\n\nlet y = 2;")));
    for wrong in ["let x = 2;", "let x = 1;\nlet y = 2;", "    let x = 1;", "let x = 1", "et x = 1;"] {
        assert!(!has(source, &lines(wrong)), "{wrong}");
    }
}
