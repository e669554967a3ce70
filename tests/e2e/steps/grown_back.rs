//! The chaos suite: a few of its rounds in `make test`, as many as one likes in `make chaos`.

use crate::{
    chaos::{self, Options},
    world::World,
};

pub(super) fn prepare(world: &mut World) {
    world.up();
}

pub(super) fn whatever_is_killed_at_whatever_moment_grows_back(world: &mut World) {
    chaos::run(world, Options::of_environment());
}
