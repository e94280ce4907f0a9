//! Tests of `/auth_socket` on the test kit.

use bennu_testkit::ChannelTest;
use hello_sockets::UserTracker;

pub(crate) type AuthTest = ChannelTest<UserTracker>;

/// Creates a test whose state is a tracker, as `/auth_socket` requires.
pub(crate) fn auth_test() -> AuthTest {
    let test = ChannelTest::new();
    test.with_state(UserTracker::start(test.endpoint(), None))
}
