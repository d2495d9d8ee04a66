//! Services of systemd: what their files say, where they run, and the drop-in that starts them in the
//! pinned namespace.
//!
//! Read: [`survey`] all of it. [`unit_path`] lists the directories once, [`mod@unit`] finds a unit's files
//! in them with [`drop_ins`], [`text`] and [`words`] read these as systemd does, [`service`] says what
//! holds in the end; [`enabled`] and [`preset`] tell whether kubens.service is switched on,
//! [`cgroup`] and [`process`] what runs.
//!
//! Decide: [`running`] on which side a service runs, [`in_force`] which configuration holds, [`directives`] and [`command`] whether and how a
//! service can be wrapped, [`profile`] with which privileges, [`group`] whether its group is, [`plan`] with `assess` all of it; [`drop_in`] is what comes
//! of it.
//!
//! Act: [`generator`] writes it, [`own_unit`] pins as kubens.service, [`adoption`] finds the
//! namespace of a service.

pub mod adoption;
/// The longest name of a file, in bytes (`limits.h(0p)`).
const NAME_MAX: usize = 255;

mod assess;
pub mod cgroup;
pub mod command;
pub mod directives;
pub mod drop_in;
pub mod drop_ins;
pub mod enabled;
pub mod filters;
pub mod fnmatch;
pub mod generator;
pub mod group;
pub mod in_force;
pub mod kernel_command_line;
pub mod log;
pub mod own_unit;
pub mod plan;
pub mod preset;
pub mod process;
pub mod profile;
pub mod remarks;
pub mod rooted;
pub mod running;
pub mod search;
pub mod service;
pub mod survey;
pub mod text;
#[cfg(test)]
mod tree;
pub mod unit;
pub mod unit_name;
pub mod unit_path;
pub mod words;
