//! The gateway as its clients see it, against a server in this process.

mod access;
mod driver;
mod exchange;
mod startos;
mod validator;
