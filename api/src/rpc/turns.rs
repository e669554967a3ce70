//! Whose call is next: so many at once, so many of one caller, and the callers take turns.
//!
//! ```text
//! take ──▶ runs                     while there is room for it and its caller
//!      ──▶ waits in its caller's line ──▶ runs     a place was given back and it is its caller's turn
//!      │                             ──▶ refused  its patience ended
//!      ──▶ refused                   its caller's line is full
//! ```
//!
//! Invariants: a caller has at most [`Room::of_one`] calls under way, all together [`Room::of_all`], and
//! those who have not signed in together [`Room::of_strangers`]. While a caller waits who may run, nobody
//! else is let in twice. So a flood from one caller costs another one turn.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coppice_actors::{Kind, Problem};
use tokio::{sync::oneshot, time::timeout};

use super::method::Within;
use crate::caller::Caller;

/// How long a call waits for its turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// Room for calls that are answered at once.
const BRIEF: Room = Room {
    of_all: 64,
    of_one: 16,
    of_strangers: 24,
    line: 256,
};
/// Room for those that wait for something. They stand apart, so that they never fill the place of the others.
const LONG: Room = Room {
    of_all: 64,
    of_one: 16,
    of_strangers: 8,
    line: 64,
};

/// How much room there is.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Calls under way.
    of_all: usize,
    /// Of one caller.
    of_one: usize,
    /// Of all who have not signed in.
    of_strangers: usize,
    /// Calls of one caller that wait.
    line: usize,
}

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Root, or an account by what it showed.
    Known(Caller),
    /// Somebody at this address; of a v6 address the half that a network gives out.
    Stranger(Option<IpAddr>),
}

impl Who {
    pub(super) fn of(caller: &Caller, from: Option<IpAddr>) -> Self {
        match caller {
            Caller::Anonymous => Self::Stranger(from.map(network)),
            known => Self::Known(known.clone()),
        }
    }
}

/// The address, or of a v6 address the network it is in: whoever has one address of it has them all.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// A call that waits.
type Ticket = u64;

/// What becomes of somebody who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Runs,
    Waits,
    LineFull,
}

/// One caller who has calls under way or waiting.
#[derive(Debug)]
struct Line {
    who: Who,
    running: usize,
    waiting: VecDeque<Ticket>,
}

/// Who runs and who waits, the next caller first. Pure.
#[derive(Debug)]
struct Order {
    room: Room,
    lines: VecDeque<Line>,
}

impl Order {
    const fn new(room: Room) -> Self {
        Self {
            room,
            lines: VecDeque::new(),
        }
    }

    fn line(&mut self, who: &Who) -> &mut Line {
        let at = match self.lines.iter().position(|line| line.who == *who) {
            Some(at) => at,
            None => {
                self.lines.push_back(Line {
                    who: who.clone(),
                    running: 0,
                    waiting: VecDeque::new(),
                });
                self.lines.len() - 1
            }
        };
        &mut self.lines[at]
    }

    fn running(&self, counts: impl Fn(&Who) -> bool) -> usize {
        let lines = self.lines.iter().filter(|line| counts(&line.who));
        lines.map(|line| line.running).sum()
    }

    fn has_room(&self, line: &Line) -> bool {
        let stranger = |who: &Who| matches!(who, Who::Stranger(_));
        line.running < self.room.of_one
            && self.running(|_| true) < self.room.of_all
            && (!stranger(&line.who) || self.running(stranger) < self.room.of_strangers)
    }

    fn take(&mut self, who: &Who, ticket: Ticket) -> Verdict {
        let room = self.room;
        self.line(who);
        let own = self.lines.iter().find(|line| line.who == *who);
        let may_run = own.is_some_and(|line| line.waiting.is_empty() && self.has_room(line));
        let line = self.line(who);
        if may_run {
            line.running += 1;
            Verdict::Runs
        } else if line.waiting.len() < room.line {
            line.waiting.push_back(ticket);
            Verdict::Waits
        } else {
            Verdict::LineFull
        }
    }

    /// A call has ended; gives those whose turn it is now.
    fn give_back(&mut self, who: &Who) -> Vec<Ticket> {
        let line = self.line(who);
        line.running = line.running.saturating_sub(1);
        let mut next = Vec::new();
        while let Some(ticket) = self.next() {
            next.push(ticket);
        }
        self.lines
            .retain(|line| line.running > 0 || !line.waiting.is_empty());
        next
    }

    /// Lets in the first of the callers who wait and for whom there is room; that caller is last from then on.
    fn next(&mut self) -> Option<Ticket> {
        let waits = |line: &Line| !line.waiting.is_empty() && self.has_room(line);
        let at = self.lines.iter().position(waits)?;
        let mut line = self.lines.remove(at)?;
        let ticket = line.waiting.pop_front();
        line.running += 1;
        self.lines.push_back(line);
        ticket
    }

    /// Whoever waited with this ticket has gone.
    fn forget(&mut self, who: &Who, ticket: Ticket) {
        self.line(who).waiting.retain(|one| *one != ticket);
        self.lines
            .retain(|line| line.running > 0 || !line.waiting.is_empty());
    }
}

struct Queue {
    order: Order,
    last: Ticket,
    /// Those who wait, by their tickets.
    waiting: Vec<(Ticket, oneshot::Sender<()>)>,
}

/// One room and the queue before it.
#[derive(Clone)]
pub(crate) struct Lane(Arc<Mutex<Queue>>);

/// The right to run; given back when dropped.
pub(crate) struct Turn {
    lane: Lane,
    who: Who,
}

/// Somebody who waits, and may go away while waiting.
struct Waiting<'a> {
    lane: &'a Lane,
    who: &'a Who,
    ticket: Ticket,
}

impl Lane {
    fn new(room: Room) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            order: Order::new(room),
            last: 0,
            waiting: Vec::new(),
        })))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// When the caller has too many calls waiting, or its turn does not come.
    pub(super) async fn take(&self, who: Who) -> Result<Turn, Problem> {
        let (ticket, turn) = {
            let mut queue = self.queue();
            queue.last += 1;
            let ticket = queue.last;
            match queue.order.take(&who, ticket) {
                Verdict::Runs => return Ok(self.turn(who)),
                Verdict::LineFull => return Err(line_full(queue.order.room)),
                Verdict::Waits => {}
            }
            let (wake, turn) = oneshot::channel();
            queue.waiting.push((ticket, wake));
            (ticket, turn)
        };
        let waiting = Waiting {
            lane: self,
            who: &who,
            ticket,
        };
        let came = timeout(PATIENCE, turn).await;
        // Gone is also whoever has arrived: then there is nothing to forget.
        let gave_up = waiting.leave();
        match came {
            Ok(_) => Ok(self.turn(who)),
            Err(_) if gave_up => Err(not_in_time()),
            // It came at the very moment at which its patience ended.
            Err(_) => Ok(self.turn(who)),
        }
    }

    fn turn(&self, who: Who) -> Turn {
        let lane = self.clone();
        Turn { lane, who }
    }

    fn give_back(&self, who: &Who) {
        let mut queue = self.queue();
        for ticket in queue.order.give_back(who) {
            let at = queue.waiting.iter().position(|(one, _)| *one == ticket);
            if let Some(at) = at {
                // One that is going away at this moment finds its turn and gives it back.
                let _ = queue.waiting.swap_remove(at).1.send(());
            }
        }
    }
}

impl Waiting<'_> {
    /// Leaves the line; whether it still stood there.
    fn leave(self) -> bool {
        let left = self.take_out();
        std::mem::forget(self);
        left
    }

    fn take_out(&self) -> bool {
        let mut queue = self.lane.queue();
        let before = queue.waiting.len();
        queue.waiting.retain(|(one, _)| *one != self.ticket);
        queue.order.forget(self.who, self.ticket);
        before != queue.waiting.len()
    }
}

impl Drop for Waiting<'_> {
    /// The caller hung up.
    fn drop(&mut self) {
        if !self.take_out() {
            self.lane.give_back(self.who);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.lane.give_back(&self.who);
    }
}

/// All rooms.
#[derive(Clone)]
pub(crate) struct Turns {
    brief: Lane,
    long: Lane,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            brief: Lane::new(BRIEF),
            long: Lane::new(LONG),
        }
    }
}

impl Turns {
    /// The room for calls that may take so long.
    pub(super) const fn of(&self, within: Within) -> &Lane {
        match within {
            Within::Moment => &self.brief,
            Within::Minutes | Within::Hours => &self.long,
        }
    }
}

fn line_full(room: Room) -> Problem {
    let (under_way, waiting) = (room.of_one, room.line);
    let why = format!(
        "you have {under_way} calls under way and {waiting} waiting; wait for their answers first"
    );
    Problem::new(Kind::RateLimited, why)
}

fn not_in_time() -> Problem {
    let seconds = PATIENCE.as_secs();
    let why =
        format!("the server was busy with other calls for {seconds} s; try again in a minute");
    Problem::new(Kind::RateLimited, why)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::caller::{Credential, Role};

    fn session(number: u8) -> Who {
        Who::Known(Caller::Account {
            name: "admin".into(),
            role: Role::Admin,
            with: Credential::Session {
                id: number.to_string().into(),
            },
        })
    }

    fn stranger(number: u8) -> Who {
        Who::of(
            &Caller::Anonymous,
            Some(Ipv4Addr::new(10, 0, 0, number).into()),
        )
    }

    const SMALL: Room = Room {
        of_all: 4,
        of_one: 3,
        of_strangers: 2,
        line: 2,
    };

    #[test]
    fn a_caller_runs_so_many_then_waits_then_is_refused() {
        let mut order = Order::new(SMALL);
        let verdicts: Vec<Verdict> = (0..6).map(|n| order.take(&session(1), n)).collect();
        use Verdict::{LineFull, Runs, Waits};
        assert_eq!(verdicts, [Runs, Runs, Runs, Waits, Waits, LineFull]);
        assert_eq!(
            order.take(&session(2), 9),
            Runs,
            "another caller has room of its own"
        );
        assert_eq!(order.take(&session(3), 10), Waits, "the house is full");
    }

    #[test]
    fn callers_who_wait_take_turns_however_many_calls_one_of_them_has() {
        let mut order = Order::new(Room {
            of_all: 1,
            of_one: 1,
            line: 100,
            ..SMALL
        });
        assert_eq!(order.take(&session(1), 0), Verdict::Runs);
        for ticket in 1..50 {
            order.take(&session(1), ticket);
        }
        order.take(&session(2), 100);
        order.take(&session(3), 200);
        let mut came = order.give_back(&session(1));
        // Whoever runs now gives back, and so on.
        for who in [session(1), session(2), session(3)] {
            came.extend(order.give_back(&who));
        }
        assert_eq!(came, [1, 100, 200, 2]);
    }

    #[test]
    fn strangers_together_leave_room_for_those_who_signed_in() {
        let mut order = Order::new(SMALL);
        for number in 0..2 {
            assert_eq!(order.take(&stranger(number), 1), Verdict::Runs);
        }
        assert_eq!(order.take(&stranger(9), 2), Verdict::Waits);
        assert_eq!(order.take(&session(1), 3), Verdict::Runs);
        assert_eq!(order.give_back(&stranger(0)), [2]);
    }

    #[test]
    fn whoever_has_one_address_of_a_network_has_all_of_them() {
        let of = |text: &str| Who::of(&Caller::Anonymous, Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.2"), of("10.0.0.1"));
    }

    proptest! {
        /// Takes and give-backs at random: never more than there is room for, and when all have given back, nobody
        /// is left waiting and nothing is remembered.
        #[test]
        fn there_is_never_more_than_room_and_nobody_is_forgotten(script in prop::collection::vec((0u8..6, any::<bool>()), 0..200)) {
            let who = |number: u8| if number < 3 { session(number) } else { stranger(number) };
            let mut order = Order::new(SMALL);
            let (mut running, mut waiting) = (Vec::new(), Vec::new());
            for (ticket, (number, takes)) in script.into_iter().enumerate() {
                if takes {
                    let ticket = ticket as Ticket;
                    match order.take(&who(number), ticket) {
                        Verdict::Runs => running.push(who(number)),
                        Verdict::Waits => waiting.push((ticket, who(number))),
                        Verdict::LineFull => {}
                    }
                } else if let Some(at) = running.iter().position(|one| *one == who(number)) {
                    let gone = running.swap_remove(at);
                    for came in order.give_back(&gone) {
                        let at = waiting.iter().position(|(ticket, _)| *ticket == came).unwrap();
                        running.push(waiting.swap_remove(at).1);
                    }
                }
                prop_assert!(running.len() <= SMALL.of_all);
                prop_assert!(running.iter().filter(|who| matches!(who, Who::Stranger(_))).count() <= SMALL.of_strangers);
                for one in &running {
                    prop_assert!(running.iter().filter(|other| *other == one).count() <= SMALL.of_one);
                }
            }
            while let Some(gone) = running.pop() {
                for came in order.give_back(&gone) {
                    let at = waiting.iter().position(|(ticket, _)| *ticket == came).unwrap();
                    running.push(waiting.swap_remove(at).1);
                }
            }
            prop_assert!(waiting.is_empty());
            prop_assert!(order.lines.is_empty());
        }
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_a_call_ends_or_its_caller_hangs_up() {
        let lane = Lane::new(Room {
            of_all: 1,
            of_one: 1,
            ..SMALL
        });
        let first = lane.take(session(1)).await.unwrap();
        let hung_up = lane.take(session(2));
        let waits = lane.take(session(3));
        tokio::pin!(waits);
        {
            tokio::pin!(hung_up);
            assert!(futures_util::poll!(&mut hung_up).is_pending());
            assert!(futures_util::poll!(&mut waits).is_pending());
        }
        drop(first);
        let third = waits.await.unwrap();
        drop(third);
        assert!(lane.queue().order.lines.is_empty());
    }

    #[tokio::test]
    async fn a_turn_that_came_to_somebody_who_has_gone_is_given_on() {
        let lane = Lane::new(Room {
            of_all: 1,
            of_one: 1,
            ..SMALL
        });
        let first = lane.take(session(1)).await.unwrap();
        let mut gone = Box::pin(lane.take(session(2)));
        let mut waits = Box::pin(lane.take(session(3)));
        assert!(futures_util::poll!(&mut gone).is_pending());
        assert!(futures_util::poll!(&mut waits).is_pending());
        drop(first);
        drop(gone);
        drop(waits.await.unwrap());
        assert!(lane.queue().order.lines.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_is_told_to_come_again() {
        let lane = Lane::new(Room {
            of_all: 1,
            of_one: 1,
            ..SMALL
        });
        let first = lane.take(session(1)).await.unwrap();
        let Err(refused) = lane.take(session(2)).await else {
            panic!("there is no room");
        };
        assert_eq!(refused.kind, Kind::RateLimited);
        assert!(refused.details.contains("try again"));
        drop(first);
        assert!(lane.take(session(2)).await.is_ok());
    }
}
