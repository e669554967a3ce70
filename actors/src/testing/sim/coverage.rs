//! Which pairs of state and input a simulation must meet, and which it must never meet.
