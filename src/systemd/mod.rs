//! Services of systemd: what their files say, and the drop-in that starts them in the namespace.
//!
//! Read: [`unit_path`] lists the directories once, [`unit`] finds a unit's files in them, [`text`]
//! and [`words`] read these as systemd does, [`service`] says what holds in the end. Decide:
//! [`directives`] and [`command`] whether and how a service can be wrapped.
//! [`enabled`] and [`preset`] tell whether kubens.service is switched on.

pub mod cgroup;
pub mod command;
pub mod directives;
pub mod enabled;
pub mod group;
pub mod preset;
pub mod running;
pub mod service;
pub mod text;
pub mod unit;
pub mod unit_path;
pub mod words;
