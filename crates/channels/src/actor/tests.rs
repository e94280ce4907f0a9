//! The size of a channel's task.

use super::*;
use crate::outcome::{self, Flow, Joined, accept, noreply};
use crate::socket::Refusal;
use crate::{ChannelRouter, Connect, HandleInfo};

struct Nobody;

impl Socket for Nobody {
    type State = ();

    async fn connect(_: Connect) -> Result<Self, Refusal> {
        Ok(Nobody)
    }

    fn channels(_: &mut ChannelRouter<Self>) {}
}

/// A channel whose handlers hold `SIZE` bytes while they wait.
struct Holds<const SIZE: usize>;

async fn hold<const SIZE: usize>() {
    let held = [0_u8; SIZE];
    tokio::task::yield_now().await;
    assert_eq!(held.len(), SIZE);
}

impl<const SIZE: usize> Channel<Nobody> for Holds<SIZE> {
    async fn join(_: &str, _: Payload, _: &mut ChannelContext<Nobody, Self>) -> Joined<Self> {
        hold::<SIZE>().await;
        accept(Holds)
    }

    async fn joined(&mut self, _: &mut ChannelContext<Nobody, Self>) -> Flow {
        hold::<SIZE>().await;
        noreply()
    }

    async fn handle_in(&mut self, _: &str, _: Payload, _: &mut ChannelContext<Nobody, Self>) -> outcome::Handled {
        hold::<SIZE>().await;
        noreply()
    }

    async fn handle_out(&mut self, _: &str, _: Payload, _: &mut ChannelContext<Nobody, Self>) -> Flow {
        hold::<SIZE>().await;
        noreply()
    }

    async fn terminate(&mut self, _: Terminate, _: &mut ChannelContext<Nobody, Self>) {
        hold::<SIZE>().await;
    }
}

impl<const SIZE: usize> HandleInfo<Nobody, ()> for Holds<SIZE> {
    async fn handle_info(&mut self, _: (), _: &mut ChannelContext<Nobody, Self>) -> Flow {
        hold::<SIZE>().await;
        noreply()
    }
}

fn size_of_output<I, O>(_: impl Fn(I) -> O) -> usize {
    size_of::<O>()
}

#[test]
fn a_channels_task_is_as_large_as_its_state_and_not_as_its_handlers() {
    let [small, large] =
        [size_of_output(Actor::<Nobody, Holds<1>>::run), size_of_output(Actor::<Nobody, Holds<10_000>>::run)];
    assert_eq!(small, large);
}

#[test]
fn a_channels_task_has_room_for_its_code_once() {
    let code = size_of_output(Actor::<Nobody, Holds<1>>::run);
    let task = |alive| Box::new(unreachable()).task(alive);
    let task = size_of_output(task);
    assert!(task < code + 100, "{task} bytes for {code} bytes of code");
}

/// An actor, for its type only.
fn unreachable() -> Actor<Nobody, Holds<1>> {
    unreachable!("nothing is run")
}
