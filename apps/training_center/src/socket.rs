//! `/socket`: a client with the token of a page, whose user is still signed in.

use crate::channel::GymChannel;
use crate::gym::Gym;
use crate::user::User;
use app_service::web::SignedIn;
use bennu::prelude::*;

/// The connection of one page.
pub struct UserSocket {
    /// The user, as the server has signed it.
    pub signed_in: SignedIn<User>,
}

impl Socket for UserSocket {
    type State = Gym;

    async fn connect(request: Connect<Gym>) -> Result<Self, Refusal> {
        Ok(UserSocket { signed_in: SignedIn::connect(&request)? })
    }

    fn id(&self) -> Option<String> {
        Some(self.signed_in.socket_id())
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<GymChannel>("training_session:{id}");
    }
}
