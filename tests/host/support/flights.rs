//! Calls between rooms, and how one of them goes on.

use cidadao_realtime::link::Call;

use super::world::{Flight, World};

pub(crate) fn delivers(call: &Call) -> bool {
    matches!(call, Call::Deliver(_))
}

pub(crate) fn follows(call: &Call) -> bool {
    matches!(call, Call::Follow { .. })
}

/// Lets the one flight go on that fits.
pub(crate) fn step(world: &mut World, fits: impl Fn(&Flight) -> bool) {
    let place = world.flights().position(fits).expect("no such flight");
    world.step(place);
}
