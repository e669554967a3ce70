//! What is said between the heart and its children.

use std::io;

use coppice_clock::Mono;

use super::{Heart, Place, RETRY_EVERY};
use crate::{
    protocol::{CoreToHeart, Wire, broken},
    upgrade::Input,
};

impl Heart<'_> {
    /// Takes what a child has sent.
    pub(super) fn listen_to(&mut self, place: Place) {
        let Some(running) = self.at_mut(place) else {
            return;
        };
        let open = running.channel.fill();
        loop {
            let Some(running) = self.at_mut(place) else {
                return;
            };
            let message = match running.channel.next() {
                Ok(Some(json)) => match Wire::parse(&json) {
                    Ok(wire) => wire,
                    Err(error) => return running.give_up_on(&error),
                },
                Ok(None) => break,
                Err(error) => return running.give_up_on(&error),
            };
            if let Err(error) = self.obey(place, message)
                && let Some(running) = self.at_mut(place)
            {
                return running.give_up_on(&error);
            }
        }
        if let Some(running) = self.at_mut(place) {
            match open {
                Ok(true) => {}
                Ok(false) => running.hung_up(),
                Err(error) => running.give_up_on(&error),
            }
        }
    }

    fn obey(&mut self, place: Place, message: Wire) -> io::Result<()> {
        if place != Place::Core {
            if message.kind != "ready" {
                return Err(broken(&format!("a `{}` from the edge", message.kind)));
            }
            if place == Place::Trial {
                self.trial_is_ready();
            }
            return Ok(());
        }
        match CoreToHeart::try_from(message)? {
            CoreToHeart::Ready => {
                if let Some(core) = &mut self.core.running {
                    core.ready = true;
                }
                self.advance(Input::CoreReady);
                if self.stopping.is_none() && self.upgrade.is_none() {
                    self.notifier.ready("Core and edge are at work");
                }
            }
            CoreToHeart::Alive => self.notifier.alive(),
            CoreToHeart::Failed { why } => {
                if let Some(core) = &mut self.core.running {
                    core.last_words = Some(why);
                }
            }
            CoreToHeart::Upgrade(request) => self.begin_upgrade(request),
            CoreToHeart::Stop => self.stop(),
            CoreToHeart::Publish { listeners, table } => {
                self.listeners.publish(listeners);
                self.table = Some(table);
                self.publish();
            }
        }
        Ok(())
    }

    /// Tells everyone what is open now.
    pub(super) fn publish(&mut self) {
        self.retry_at = self
            .listeners
            .any_closed()
            .then(|| Mono::now() + RETRY_EVERY);
        self.publish_to(Place::Edge);
        self.publish_to(Place::Trial);
        let answer = Wire {
            failed: Some(self.listeners.failed()),
            ..Wire::new("listeners")
        };
        if let Some(core) = &mut self.core.running {
            core.send(&answer);
        }
    }

    /// Hands an edge table and sockets.
    pub(super) fn publish_to(&mut self, place: Place) {
        let Some(table) = self.table.clone() else {
            return;
        };
        let (listeners, fds) = self.listeners.open();
        let Some(edge) = self.at_mut(place) else {
            return;
        };
        let message = Wire {
            listeners: Some(listeners),
            table: Some(table),
            ..Wire::new("publish")
        };
        match message.frame() {
            Ok(frame) => {
                edge.channel.queue_newest(frame, fds);
                edge.flush();
            }
            // It came in as a message of allowed length; it cannot have become too long.
            Err(error) => edge.give_up_on(&error),
        }
    }
}
