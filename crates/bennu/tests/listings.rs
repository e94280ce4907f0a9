//! The listings of the README are those of the crate's documentation, which is compiled.

/// The lines of a README's listings, in order.
fn listed(readme: &str) -> impl Iterator<Item = &str> {
    readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).flat_map(str::lines)
}

#[test]
fn every_line_of_the_readmes_listings_stands_in_the_documentation_in_this_order() {
    let documentation = include_str!("../src/lib.rs");
    let mut compiled = documentation.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim);
    let mut seen = vec!["", "use bennu::prelude::*;"];
    for line in listed(include_str!("../../../README.md")).map(str::trim) {
        // The README repeats the imports that its second listing needs.
        if !seen.contains(&line) && !compiled.any(|known| known == line) {
            panic!("not in the documentation, or not in this order: {line}");
        }
        if line.starts_with("use ") {
            seen.push(line);
        }
    }
}
