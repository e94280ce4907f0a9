//! The files that pages load: style sheets, scripts, pictures, and the official client.
//!
//! A file comes from memory, with an entity tag of its content, or from a directory, where it is read for each request
//! so that an edit is visible without a restart. Only the names that were added are served.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, get_service};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use tower_http::services::ServeFile;

/// The extensions of the files that pages load, with their content types.
const CONTENT_TYPES: [(&str, &str); 7] = [
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
];

/// The files that pages load, by name. A file that is added later replaces one of the same name.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let files = bennu_page::Files::new()
///     .file("chart.js", "export function draw() {}")
///     .directory(concat!(env!("CARGO_MANIFEST_DIR"), "/assets"))?
///     .client(concat!(env!("CARGO_MANIFEST_DIR"), "/assets"));
/// let router: axum::Router = files.routes("/assets");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Files(BTreeMap<String, File>);

#[derive(Debug, Clone)]
enum File {
    Memory { content_type: &'static str, content: Bytes, tag: String },
    Disk(PathBuf),
}

impl Files {
    /// Creates the files of this crate, `plain.css` and `page.js`.
    pub fn new() -> Self {
        Files(BTreeMap::new()).file("plain.css", crate::PLAIN_CSS).file("page.js", crate::PAGE_JS)
    }

    /// Adds a file from memory.
    ///
    /// # Panics
    /// When the extension of `name` is not `css`, `js`, `mjs`, `svg`, `png`, `webp` or `woff2`.
    pub fn file(mut self, name: impl Into<String>, content: impl Into<Bytes>) -> Self {
        let (name, content) = (name.into(), content.into());
        let content_type = content_type(Path::new(&name)).unwrap_or_else(|| {
            panic!("the file {name:?} has no known content type: end its name with one of {:?}", extensions())
        });
        let mut hasher = DefaultHasher::new();
        hasher.write(&content);
        // A weak tag, since a compressed response has the same one.
        let tag = format!("W/\"{:016x}\"", hasher.finish());
        self.0.insert(name, File::Memory { content_type, content, tag });
        self
    }

    /// Adds the files of a directory whose extensions are those of [`file`](Self::file), without its subdirectories.
    /// They are read for each request. Files that are created later are not served.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn directory(mut self, path: impl AsRef<Path>) -> io::Result<Self> {
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let path = entry.path();
            if let (Some(_), Ok(name)) = (content_type(&path), entry.file_name().into_string()) {
                self.0.insert(name, File::Disk(path));
            }
        }
        Ok(self)
    }

    /// Adds the official client as `phoenix.mjs`, from the directory `assets` in which npm has installed it. Until it is
    /// installed, its response is 404.
    pub fn client(mut self, assets: impl AsRef<Path>) -> Self {
        self.0.insert("phoenix.mjs".to_owned(), File::Disk(phoenix_client(assets)));
        self
    }

    /// Returns a route for each file, `{path}/{name}`.
    pub fn routes<S: Clone + Send + Sync + 'static>(self, path: &str) -> Router<S> {
        self.0.into_iter().fold(Router::new(), |routes, (name, file)| {
            let route = match file {
                File::Disk(file) => get_service(ServeFile::new(file)),
                File::Memory { content_type, content, tag } => {
                    get(async move |headers: HeaderMap| memory_response(&headers, content_type, content, &tag))
                }
            };
            routes.route(&format!("{path}/{name}"), route)
        })
    }
}

impl Default for Files {
    fn default() -> Self {
        Files::new()
    }
}

/// Returns the path of the official client in a directory in which npm has installed it.
pub fn phoenix_client(assets: impl AsRef<Path>) -> PathBuf {
    assets.as_ref().join("node_modules/phoenix/priv/static/phoenix.mjs")
}

fn memory_response(headers: &HeaderMap, content_type: &'static str, content: Bytes, tag: &str) -> Response {
    let is_current = |value: &str| value.split(',').map(str::trim).any(|known| known == tag || known == "*");
    let known = headers.get_all(header::IF_NONE_MATCH);
    match known.iter().filter_map(|value| value.to_str().ok()).any(is_current) {
        true => (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response(),
        false => ([(header::CONTENT_TYPE, content_type), (header::ETAG, tag)], content).into_response(),
    }
}

fn content_type(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?;
    CONTENT_TYPES.iter().find(|(known, _)| extension == *known).map(|(_, content_type)| *content_type)
}

fn extensions() -> Vec<&'static str> {
    CONTENT_TYPES.iter().map(|(extension, _)| *extension).collect()
}
