//! The sizes of a released product, as one form. The page and the event `released` have the same HTML.
//!
//! It is the same for every shopper, so that a release is rendered once for all: it contains no token.

use crate::catalog::{Item, Level, Product};
use crate::inventory::Snapshot;
use askama::Template;

#[derive(Template)]
#[template(path = "sizes.html")]
struct Sizes<'a> {
    product: &'a Product,
    items: Vec<&'a Item>,
    levels: [Level; 4],
}

/// Renders the sizes of a product.
pub(crate) fn sizes_html(product: &Product, shelf: &Snapshot) -> String {
    let sizes = Sizes {
        product,
        items: shelf.items_of(product.id).collect(),
        levels: [Level::Out, Level::Low, Level::Medium, Level::High],
    };
    sizes.render().expect("a template that only writes text does not fail")
}

/// Returns the words for a stock level.
fn words(level: &Level) -> &'static str {
    match level {
        Level::Out => "sold out",
        Level::Low => "few left",
        Level::Medium => "limited",
        Level::High => "in stock",
    }
}
