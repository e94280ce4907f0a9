//! The bytes that a phone receives for the store's first page.

mod support;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use std::collections::BTreeSet;
use std::path::Path;
use support::visitor::{Site, Visitor};

/// The limit for everything but pictures.
const MAX_BYTES: usize = 60_000;

#[tokio::test]
async fn the_store_weighs_less_than_60_kb_without_pictures() {
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/node_modules/phoenix").exists() {
        return support::skip(
            "weight",
            "the Phoenix client is not installed: run npm ci --prefix apps/sneakers_23/assets",
        );
    }
    let site = Site::open_released().await;
    let mut visitor = site.visitor();
    let page = visitor.get("/").await;
    let mut waiting: Vec<String> = linked(page.text(), "/assets/", "\"").collect();
    let (mut seen, mut sizes) = (BTreeSet::new(), vec![("/".to_owned(), transferred(&mut visitor, "/").await)]);
    while let Some(name) = waiting.pop() {
        if name.ends_with(".svg") || !seen.insert(name.clone()) {
            continue;
        }
        let path = format!("/assets/{name}");
        let file = visitor.get(&path).await;
        waiting.extend(linked(file.text(), "from \"./", "\"").chain(linked(file.text(), "from \"/assets/", "\"")));
        sizes.push((path.clone(), transferred(&mut visitor, &path).await));
    }
    let total: usize = sizes.iter().map(|(_, bytes)| bytes).sum();
    println!("{total} bytes: {sizes:?}");
    for loaded in ["plain.css", "store.css", "store.js", "cart.js", "product.js", "page.js", "phoenix.mjs"] {
        assert!(seen.contains(loaded), "{loaded} is loaded");
    }
    assert!(total < MAX_BYTES, "{total} bytes: {sizes:?}");
}

/// Returns the names between two texts.
fn linked<'a>(text: &'a str, start: &'a str, end: &'a str) -> impl Iterator<Item = String> + 'a {
    text.split(start).skip(1).map(move |rest| rest.split(end).next().unwrap_or_default().to_owned())
}

/// Returns the bytes of a response to a browser: the compressed body and the headers.
async fn transferred(visitor: &mut Visitor, path: &str) -> usize {
    let request = Request::get(path).header(header::ACCEPT_ENCODING, "gzip, deflate, br");
    let response = visitor.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status, StatusCode::OK, "{path}");
    assert!(response.headers.contains_key(header::CONTENT_ENCODING), "{path} is compressed");
    response.body.len()
        + response.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}
