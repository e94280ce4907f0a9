//! A browser without scripts: pages and forms of a server over HTTP, with cookies.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

/// A visitor of a server. A clone is another window of the same browser.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The server, which may be another node for each request.
    pub node: SocketAddr,
    /// The address of the visitor's machine, one of 127.0.0.0/8.
    pub from: Ipv4Addr,
    /// The cookies by name.
    pub cookies: BTreeMap<String, String>,
    /// The CSRF token of the last page that had one.
    pub csrf_token: String,
}

/// A response.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body, as text.
    pub body: String,
}

impl Visitor {
    /// Creates a visitor without cookies.
    pub fn new(node: SocketAddr) -> Self {
        Visitor { node, from: Ipv4Addr::LOCALHOST, cookies: BTreeMap::new(), csrf_token: String::new() }
    }

    /// Loads a page.
    ///
    /// # Panics
    /// When the server does not respond.
    pub async fn get(&mut self, path: &str) -> Reply {
        let reply = self.exchange("GET", path, "").await.unwrap();
        if let Some(token) = reply.meta("csrf-token").or_else(|| reply.field("_csrf_token")) {
            self.csrf_token = token;
        }
        reply
    }

    /// Sends a form with the CSRF token of the page that was loaded last.
    ///
    /// # Errors
    /// [`io::Error`] when the server ends before it responds.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> io::Result<Reply> {
        let token = self.csrf_token.clone();
        let fields = [&[("_csrf_token", token.as_str())], fields].concat();
        let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        self.exchange("POST", path, &pairs.join("&")).await
    }

    /// Sends the text of a form as it is, without a CSRF token of its own.
    ///
    /// # Panics
    /// When the server does not respond.
    pub async fn post_text(&mut self, path: &str, form: &str) -> Reply {
        self.exchange("POST", path, form).await.unwrap()
    }

    /// Returns the value of the header `Cookie`.
    pub fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn exchange(&mut self, method: &str, path: &str, form: &str) -> io::Result<Reply> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncookie: {}\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{form}",
            self.node,
            self.cookie(),
            form.len()
        );
        let response = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((self.from, 0).into())?;
            let mut stream = socket.connect(self.node).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut response = String::new();
            stream.read_to_string(&mut response).await?;
            Ok::<_, io::Error>(response)
        };
        let response = timeout(crate::DEADLINE, response).await.expect("the server responds before the deadline")?;
        let reply = Reply::parse(&response).ok_or(io::ErrorKind::UnexpectedEof)?;
        for (_, cookie) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Ok(reply)
    }
}

impl Reply {
    /// Parses a response; `None` when its end is missing.
    fn parse(response: &str) -> Option<Self> {
        let (head, body) = response.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let reply = Reply { status, headers, body: body.to_owned() };
        let length = reply.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        (body.len() >= length).then_some(reply)
    }

    /// Returns a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a field of the page's forms.
    pub fn field(&self, name: &str) -> Option<String> {
        self.after(&format!(r#"name="{name}" value=""#))
    }

    /// Returns the content of a `meta` element.
    pub fn meta(&self, name: &str) -> Option<String> {
        self.after(&format!(r#"<meta name="{name}" content=""#))
    }

    /// Returns the first value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<String> {
        self.after(&format!(r#" {name}=""#))
    }

    /// Checks the status, and that the body has a text.
    ///
    /// # Panics
    /// When one of them differs.
    pub fn assert(&self, status: u16, text: &str) {
        let is_expected = self.status == status && self.body.contains(text);
        assert!(is_expected, "{} and not {status} with {text:?}:\n{:.1500}", self.status, self.body);
    }

    fn after(&self, start: &str) -> Option<String> {
        let (_, rest) = self.body.split_once(start)?;
        Some(rest.split_once('"')?.0.to_owned())
    }
}

/// Encodes a value of a form or of a query.
pub fn encode(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").expect("a String takes all text"),
        }
        text
    })
}
