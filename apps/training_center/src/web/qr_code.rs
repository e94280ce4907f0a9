//! The QR code with which phones join: the address of a page, drawn in the trainer's page itself.

use app_service::web::Problem;
use axum::http::{HeaderMap, header};
use qrcode::render::svg;

/// The address of a page for phones, and its QR code.
pub(super) struct QrCode {
    pub(super) url: String,
    /// An `<svg>` element, dark on light in every theme, so that cameras read it.
    pub(super) svg: String,
    /// Whether only this machine can open the address.
    pub(super) is_local: bool,
}

impl QrCode {
    /// Draws the address of a path at `public_url`, or without that at the host of the trainer's own request.
    pub(super) fn new(public_url: Option<&str>, headers: &HeaderMap, path: &str) -> Result<Self, Problem> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let url = public_url.map_or_else(|| format!("http://{host}{path}"), |public_url| format!("{public_url}{path}"));
        let code = qrcode::QrCode::new(&url).map_err(|error| Problem::internal(&error))?;
        let svg =
            code.render::<svg::Color<'_>>().dark_color(svg::Color("#000")).light_color(svg::Color("#fff")).build();
        // Within a page an element has no XML declaration.
        let svg = svg.find("<svg").map_or_else(String::new, |start| svg[start..].to_owned());
        let is_local = ["//localhost", "//127.", "//[::1]"].iter().any(|local| url.contains(local));
        Ok(QrCode { url, svg, is_local })
    }
}
