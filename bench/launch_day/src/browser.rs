//! A browser without a screen: one connection, cookies, forms, and the values in a page.

use crate::Error;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use tokio::net::TcpStream;

pub(crate) struct Browser {
    port: u16,
    connection: Option<SendRequest<Full<Bytes>>>,
    cookies: BTreeMap<String, String>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    /// The path of a redirect.
    pub(crate) location: Option<String>,
    html: String,
}

impl Browser {
    /// Creates a browser without cookies, for the server on a port of this machine. It connects with the first request.
    pub(crate) fn new(port: u16) -> Self {
        Browser { port, connection: None, cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Page, Error> {
        self.request(Method::GET, path, String::new()).await
    }

    /// Sends a form. A redirect is not followed.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Page, Error> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.request(Method::POST, path, form).await
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    async fn request(&mut self, method: Method, path: &str, form: String) -> Result<Page, Error> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder().method(method).uri(path).header(HOST, format!("localhost:{}", self.port));
        let request = request.header(COOKIE, cookies.join("; "));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Full::from(form))?;
        let mut connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        self.connection = Some(connection);
        for cookie in response.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not a cookie"))?;
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION).map(|location| location.to_str().map(str::to_owned));
        let location = location.transpose()?;
        let html = String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?;
        Ok(Page { status, location, html })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Error> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender. Its error is the error of the request too.
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl Page {
    /// Returns the value of an attribute in the first element that contains `mark`, which comes before the attribute.
    pub(crate) fn value(&self, mark: &str, attribute: &str) -> Result<&str, Error> {
        let found = self.html.split_once(mark).and_then(|(_, rest)| {
            let element = &rest[..rest.find('>').unwrap_or(rest.len())];
            let (_, value) = element.split_once(&format!("{attribute}=\""))?;
            Some(value.split('"').next().unwrap_or_default())
        });
        found.ok_or_else(|| format!("the page of status {} has no {attribute} after {mark}", self.status).into())
    }

    /// Returns the values of an attribute in all elements, in order.
    pub(crate) fn values<'a>(&'a self, attribute: &str) -> Vec<&'a str> {
        let mark = format!(" {attribute}=\"");
        let values = self.html.split(&mark).skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
        values.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_values_of_its_attributes() {
        let html = r#"<meta name="csrf-token" content="t&k"><li class="line" data-item-id="3"><li data-item-id="5">"#;
        let page = Page { status: 200, location: None, html: html.to_owned() };
        assert_eq!(page.value(r#"name="csrf-token""#, "content").unwrap(), "t&k");
        assert_eq!(page.values("data-item-id"), ["3", "5"]);
        let error = page.value(r#"name="csrf-token""#, "data-item-id").unwrap_err().to_string();
        assert_eq!(error, r#"the page of status 200 has no data-item-id after name="csrf-token""#);
    }
}
