//! The pages.

use crate::catalog::Product;
use crate::inventory::Snapshot;

/// Returns the routes of the pages.
pub fn routes(_store: &crate::store::Store) -> axum::Router {
    axum::Router::new()
}

/// Renders the sizes of a product.
pub(crate) fn sizes_html(_product: &Product, _shelf: &Snapshot) -> String {
    String::new()
}
