//! Signing in and out: by name for a participant, by password for the trainer. Roles are given here and nowhere else.

use crate::gym::Gym;
use crate::store::SessionId;
use crate::user::User;
use app_service::web::prelude::*;

/// The form for a name, or the one for the trainer's password.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignInPage {
    pub(super) frame: Frame<User>,
    pub(super) is_for_trainer: bool,
    /// The session to which the participant goes on.
    pub(super) session: Option<SessionId>,
    pub(super) error: Option<String>,
}

/// `POST /sign_in`: a participant, who goes on to the session in the field `session`, if there is one.
pub(super) async fn participant(visitor: Visitor, Form(fields): Form) -> Result<Response, Problem> {
    let session: Option<SessionId> = fields.optional("session").and_then(|id| id.parse().ok());
    let user = User::participant(fields.required("name")?);
    let user = user.map_err(|text| Problem::new(StatusCode::BAD_REQUEST, "This name cannot be used.", text))?;
    let path = session.map_or_else(|| "/".to_owned(), |id| format!("/sessions/{id}"));
    Ok((visitor.sign_in(user)?, Redirect::to(&path)).into_response())
}

/// `POST /trainer/sign_in`: the trainer, by the password.
pub(super) async fn trainer(
    State(gym): State<Gym>,
    visitor: Visitor,
    peer: Peer,
    Form(fields): Form,
) -> Result<Response, Problem> {
    let Err(rejected) = check_password(&gym.trainer, fields.required("password")?, peer).await else {
        return Ok((visitor.sign_in(User::Trainer)?, Redirect::to("/trainer")).into_response());
    };
    let (frame, error) = (Frame::new(&visitor, &gym.endpoint)?, Some(rejected.text));
    let page = page(rejected.status, &SignInPage { frame, is_for_trainer: true, session: None, error })?;
    Ok((rejected.retry_after, page).into_response())
}

/// `POST /sign_out`: ends the sign-in, and closes the connections of its pages.
pub(super) async fn out(State(gym): State<Gym>, visitor: Visitor, Form(_): Form) -> Result<Response, Problem> {
    if let Some(signed_in) = visitor.signed_in::<User>() {
        gym.endpoint.disconnect(&signed_in.socket_id()).map_err(|error| Problem::internal(&error))?;
    }
    Ok((visitor.sign_out()?, Redirect::to("/")).into_response())
}
