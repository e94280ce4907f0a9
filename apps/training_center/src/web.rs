//! The pages: signing in, a participant's session, and the trainer's. The start and the end are broadcast from here.
//!
//! Handlers are in files named after their user. Each page has the visitor's session, each form its CSRF token, and each
//! error is a page of its own.

mod participant;
mod qr_code;
mod sign_in;
mod trainer;

use crate::gym::{Gym, GymError};
use crate::user::User;
use app_service::web::prelude::*;
use app_service::web::{self, Visitors};
use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::{get, post};
use bennu::SessionCookie;
use bennu_page::Files;
use std::io;
use std::path::Path;

/// Returns the routes of the pages and of their files, which are in the directory `assets`.
///
/// # Errors
/// When `assets` cannot be read.
pub fn routes(gym: &Gym, cookie: SessionCookie, assets: &Path) -> io::Result<Router> {
    let files = Files::new().directory(assets)?.client(assets);
    let pages = Router::new()
        .route("/", get(participant::home))
        .route("/sign_in", post(sign_in::participant))
        .route("/sign_out", post(sign_in::out))
        .route("/sessions/{id}", get(participant::session))
        .route("/trainer", get(participant::home))
        .route("/trainer/sign_in", post(sign_in::trainer))
        .route("/trainer/sessions", post(trainer::create))
        .route("/trainer/sessions/{id}", get(trainer::session).post(trainer::change));
    let pages = web::pages(pages, Visitors::new(cookie, gym.endpoint.secret().clone()));
    let routes = web::with_problems(pages.merge(files.routes("/assets")), |problem| ProblemPage { problem });
    let routes = bennu_page::shell(routes.with_state(gym.clone()));
    Ok(if cfg!(debug_assertions) { routes.merge(bennu_page::parts()) } else { routes })
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    problem: Problem,
}

/// The trainer: a handler that takes it rejects everybody else.
struct Trainer;

impl<S: Sync> FromRequestParts<S> for Trainer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let signed_in: Option<SignedIn<User>> = Visitor::from_request_parts(parts, state).await?.signed_in();
        if signed_in.is_some_and(|signed_in| signed_in.user.is_trainer()) {
            return Ok(Trainer);
        }
        let (title, text) = ("This page is the trainer's.", "Sign in with the trainer's password to see it.");
        Err(Problem::new(StatusCode::FORBIDDEN, title, text).back("/trainer", "Sign in as the trainer"))
    }
}

impl From<GymError> for Problem {
    fn from(error: GymError) -> Self {
        let (status, title) = match error {
            GymError::NoSuchSession(_) => (StatusCode::NOT_FOUND, "There is no such session."),
            GymError::Refused(_) => (StatusCode::CONFLICT, "This cannot be done."),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "The gym's records do not answer."),
        };
        Problem::new(status, title, sentence(&error.to_string()))
    }
}
