//! The listings of the first guide are the files of this example, word for word.

use std::fs;
use std::path::Path;

/// In the order of the guide.
const LISTINGS: [&str; 8] =
    ["1/main.rs", "2/main.rs", "2/room.rs", "3/main.rs", "3/room.rs", "4/main.rs", "4/room.rs", "4/page.html"];

#[test]
fn the_guide_has_these_files_word_for_word_and_no_other_listing() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(example.join("../../docs/guide/first-channel.md")).expect("the guide");
    let fences = guide.split("\n```").skip(1).step_by(2);
    let listings: Vec<&str> =
        fences.filter_map(|block| block.strip_prefix("rust\n").or_else(|| block.strip_prefix("html\n"))).collect();
    assert_eq!(listings.len(), LISTINGS.len(), "as many listings as files");
    for (listing, file) in listings.into_iter().zip(LISTINGS) {
        let source = fs::read_to_string(example.join("steps").join(file)).expect(file);
        assert_eq!(listing.trim_end(), source.trim_end(), "{file}");
    }
}
