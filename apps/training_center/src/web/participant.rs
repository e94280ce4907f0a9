//! The pages that participants see: the sessions, which are the trainer's first page too, and one session.

use super::sign_in::SignInPage;
use crate::gym::{Gym, GymError};
use crate::session::Command;
use crate::store::{SessionId, Stored};
use crate::user::User;
use crate::view::Status;
use app_service::web::prelude::*;
use axum::http::Uri;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame<User>,
    sessions: Vec<Stored>,
}

#[derive(Template)]
#[template(path = "participant.html")]
struct SessionPage<'a> {
    frame: Frame<User>,
    id: SessionId,
    title: &'a str,
    status: Status<'a>,
}

/// `GET /` and `GET /trainer`: the sessions, or the form for a visitor without a user.
pub(super) async fn home(State(gym): State<Gym>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let (frame, is_for_trainer) = (Frame::<User>::new(&visitor, &gym.endpoint)?, uri.path() == "/trainer");
    if !frame.user.as_ref().is_some_and(|user| user.is_trainer() || !is_for_trainer) {
        return page(StatusCode::OK, &SignInPage { frame, is_for_trainer, session: None, error: None });
    }
    let sessions = gym.store.latest().await.map_err(GymError::from)?;
    page(StatusCode::OK, &HomePage { frame, sessions })
}

/// `GET /sessions/{id}`: one session. A visitor is asked for a name first, since the QR code leads here.
pub(super) async fn session(
    State(gym): State<Gym>,
    visitor: Visitor,
    PathPart(id): PathPart<SessionId>,
) -> Result<Response, Problem> {
    let stored = gym.call(id, Command::Look).await?;
    let frame = Frame::new(&visitor, &gym.endpoint)?;
    match frame.user.clone() {
        None => page(StatusCode::OK, &SignInPage { frame, is_for_trainer: false, session: Some(id), error: None }),
        Some(User::Trainer) => Ok(Redirect::to(&format!("/trainer/sessions/{id}")).into_response()),
        Some(User::Participant(name)) => {
            let status = Status::new(&stored.session, &name);
            page(StatusCode::OK, &SessionPage { frame, id, title: &stored.session.title, status })
        }
    }
}
