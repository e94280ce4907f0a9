//! The links between the pages of the repository: each names a file that exists and, after `#`, a heading of that page.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders without pages of ours.
const SKIPPED: [&str; 4] = ["target", "node_modules", ".git", ".venv"];

#[test]
fn every_link_of_a_page_leads_to_a_file_and_to_a_heading_of_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = Vec::new();
    collect_pages(&root, &mut pages);
    assert!(pages.len() > 30, "the pages of the repository are found: {}", pages.len());
    let dead: Vec<String> = pages.iter().flat_map(|page| dead_links(page)).collect();
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

fn collect_pages(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository").filter_map(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
            collect_pages(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

fn dead_links(page: &Path) -> Vec<String> {
    let text = prose(page);
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = links.filter(|link| !link.starts_with("http"));
    local.filter(|link| !leads_somewhere(page, link)).map(|link| format!("{}: {link}", page.display())).collect()
}

fn leads_somewhere(page: &Path, link: &str) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { page.to_owned() } else { page.with_file_name("").join(file) };
    target.exists()
        && (heading.is_empty()
            || target.extension().is_none_or(|extension| extension != "md")
            || prose(&target).lines().any(|line| line.starts_with('#') && anchor(line) == heading))
}

/// The text of a page without its listings.
fn prose(page: &Path) -> String {
    fs::read_to_string(page).expect("a page").split("```").step_by(2).collect()
}

/// The anchor that a heading has on GitHub: its words in lower case, joined by hyphens.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}
