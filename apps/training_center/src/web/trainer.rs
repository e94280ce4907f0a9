//! The trainer's pages: one session with its grid, and the changes of sessions, which every page gets as a broadcast.

use super::Trainer;
use super::qr_code::QrCode;
use crate::gym::{Gym, GymError, topic};
use crate::session::{Command, TrainingSession, parse_workout};
use crate::store::SessionId;
use crate::user::User;
use crate::view::Grid;
use app_service::web::prelude::*;
use axum::http::HeaderMap;
use bennu::prelude::json;

#[derive(Template)]
#[template(path = "trainer.html")]
struct SessionPage<'a> {
    frame: Frame<User>,
    id: SessionId,
    session: &'a TrainingSession,
    grid: Grid<'a>,
    qr_code: QrCode,
    /// Whether the page has the grid and the QR code alone, to be read from afar.
    is_projector: bool,
}

/// `GET /trainer/sessions/{id}`: the grid, the QR code, and the workout until the start. With `?view=projector` the page
/// has no controls.
pub(super) async fn session(
    State(gym): State<Gym>,
    _: Trainer,
    visitor: Visitor,
    headers: HeaderMap,
    PathPart(id): PathPart<SessionId>,
    fields: Fields,
) -> Result<Response, Problem> {
    let stored = gym.call(id, Command::Look).await?;
    page(
        StatusCode::OK,
        &SessionPage {
            frame: Frame::new(&visitor, &gym.endpoint)?,
            id,
            session: &stored.session,
            grid: Grid::new(&stored, &gym.endpoint),
            qr_code: QrCode::new(gym.public_url.as_deref(), &headers, &format!("/sessions/{id}"))?,
            is_projector: fields.optional("view") == Some("projector"),
        },
    )
}

/// `POST /trainer/sessions`: a new session.
pub(super) async fn create(State(gym): State<Gym>, _: Trainer, Form(fields): Form) -> Result<Response, Problem> {
    let session = TrainingSession::new(fields.required("title")?, fields.required("workout")?);
    let created = gym.store.create(&session.map_err(GymError::from)?).await;
    Ok(to_session(created.map_err(GymError::from)?))
}

/// `POST /trainer/sessions/{id}`: starts or ends the session, or gives it another workout. Every page of the session gets
/// that as a broadcast.
pub(super) async fn change(
    State(gym): State<Gym>,
    _: Trainer,
    PathPart(id): PathPart<SessionId>,
    Form(fields): Form,
) -> Result<Response, Problem> {
    let (command, event) = match fields.required("change")? {
        "start" => (Command::Start, "training_session_started"),
        "end" => (Command::End, "training_session_ended"),
        "workout" => {
            let workout = parse_workout(fields.required("workout")?).map_err(GymError::from)?;
            (Command::Edit(workout), "status_updated")
        }
        other => return Err(Problem::invalid(other, "a change of a session: there are start, end and workout")),
    };
    gym.call(id, command).await?;
    gym.endpoint.broadcast(&topic(id), event, json!({})).map_err(|error| Problem::internal(&error))?;
    Ok(to_session(id))
}

fn to_session(id: SessionId) -> Response {
    Redirect::to(&format!("/trainer/sessions/{id}")).into_response()
}
